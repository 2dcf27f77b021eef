"""Plain lists of what a listener knows beforehand."""

from __future__ import annotations

from functools import cache
from importlib.resources import files


@cache
def lines_of(name: str) -> tuple[str, ...]:
    """Read a list of this folder, without blank lines and comments."""
    text = (files(__name__) / name).read_text("utf-8")
    return tuple(
        line for raw in text.splitlines() if (line := raw.strip()) and not line.startswith("#")
    )
