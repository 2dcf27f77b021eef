"""The colours of a call, the same in the terminal and in the picture."""

from __future__ import annotations

from typing import Final

CALLER: Final = "#e07a3f"
AGENTS: Final = ("#1f9e93", "#7a6ff0", "#3d8fd9", "#b0579f")
"""In the order in which the agents of a call appear."""
TOOL: Final = "#b8860b"
ALERT: Final = "#d64550"
APPROVED: Final = "#3f9d4f"
QUIET: Final = "#8a8f98"


class Palette:
    """Gives each agent a colour, in the order in which they are first asked for."""

    def __init__(self) -> None:
        self._agents: dict[str, str] = {}

    def agent(self, name: str) -> str:
        """Return the colour of an agent."""
        return self._agents.setdefault(name, AGENTS[len(self._agents) % len(AGENTS)])
