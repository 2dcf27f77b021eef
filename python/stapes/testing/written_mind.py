"""What answers agents under test where nothing else is given: rules that read their tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.devserver.listening.mind import ListeningMind, decide

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from stapes.devserver import Call, Mind, Say
    from stapes.devserver.mind import View

__all__ = ["default_mind"]

_listening: list[ListeningMind] = []


class _RuleMind:
    """Answers by the rules of the listening mind; a recogniser is started when somebody speaks."""

    async def hear(
        self, pcm: bytes, *, instructions: str, tools: Sequence[Mapping[str, Any]]
    ) -> str:
        if not _listening:
            _listening.append(ListeningMind())
        return await _listening[0].hear(pcm, instructions=instructions, tools=tools)

    async def answer(self, view: View) -> AsyncIterator[Say | Call]:
        for act in decide(view):
            yield act


def default_mind() -> Mind:
    """Return a mind for one server. What needs speech recognition says so when it is needed."""
    return _RuleMind()
