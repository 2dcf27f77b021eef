"""Numbers and tables for the page."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOTHING = "-"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Sets a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def in_short(values: Sequence[float], digits: int = 2) -> str:
    """The median, and how far the repetitions are apart."""
    if not values:
        return NOTHING
    middle = f"{median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def percent(values: Sequence[float]) -> str:
    """The largest share."""
    return f"{max(values):.0%}" if values else NOTHING


def joined(words: Iterable[str]) -> str:
    """Each of them once."""
    return "; ".join(dict.fromkeys(word for word in words if word))
