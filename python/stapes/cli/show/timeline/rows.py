"""Where a call is cut in rows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from stapes.cli.call.entries import AgentSpeech, CallerSpeech

if TYPE_CHECKING:
    from stapes.cli.show.story import Story

LONGEST_S = 27.0
"""The longest row, in seconds."""
_LEAD_S = 0.35
"""A row begins so long before the caller does."""


@dataclass(frozen=True, slots=True)
class Row:
    """A part of a call that is drawn side by side, in seconds."""

    start: float
    end: float


def split_rows(story: Story, longest_s: float = LONGEST_S) -> list[Row]:
    """Cut a call in rows of about the same length, where the caller begins and nobody else speaks.

    As few rows as can be are made; where nobody pauses for `longest_s`, a row ends there.
    """
    speeches = [entry for entry in story.entries if isinstance(entry, AgentSpeech)]
    places = [0.0] + [
        entry.at - _LEAD_S
        for entry in story.entries
        if isinstance(entry, CallerSpeech)
        and entry.at > 2 * _LEAD_S
        and not any(speech.at < entry.at < speech.end for speech in speeches)
    ]
    places.append(story.seconds)
    # The best way to each place: its price in rows, how unequal, and where the last row begins.
    best: list[tuple[float, float, int]] = [(0, 0.0, 0)]
    for end in range(1, len(places)):
        ways = []
        for start in range(end):
            length = places[end] - places[start]
            # A row that is too long is the last resort: somebody's words are cut in two.
            price = 1.0 if length <= longest_s else 10.0 * length / longest_s
            ways.append((best[start][0] + price, best[start][1] + length**2, start))
        best.append(min(ways))
    cuts, place = [len(places) - 1], len(places) - 1
    while place:
        place = best[place][2]
        cuts.insert(0, place)
    rows_found: list[Row] = []
    for start, end in pairwise(cuts):
        pieces = max(1, int(np.ceil((places[end] - places[start]) / longest_s)))
        edges = np.linspace(places[start], places[end], pieces + 1)
        rows_found += [Row(float(a), float(b)) for a, b in pairwise(edges)]
    return rows_found
