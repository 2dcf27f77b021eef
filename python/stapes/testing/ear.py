"""The ear of a caller in a test: it hears answers as soon as they come, up to a word if it is told.

It is the session's player: what it has heard is what the session takes as played.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes import PlaybackTracker

__all__ = ["Ear"]

_LEAD_MS = 1_000.0
"""So much sound after a word must have come, of an answer that is still made, to know its time."""
_MOST_OF_NEXT = 6
"""Characters of the next word that are looked at."""


@dataclass(slots=True)
class _Part:
    """One spoken or written part of an answer, as far as it has come."""

    item_id: str
    content_index: int
    response_id: str
    text: str = ""
    sound_ms: float = 0.0
    whole: bool = False
    heard_ms: float = 0.0

    def time_of(self, end: int) -> float:
        """When the word that ends there has been said, by its share, as the session reckons it.

        It is a moment in the midst of the next word, so that no rounding takes the word away.
        """
        words = list(re.finditer(r"\S+", self.text))
        word_end = next(word.end() for word in words if word.end() >= end)
        after = next((word.end() for word in words if word.start() >= word_end), word_end + 1)
        said = (word_end + min(after, word_end + _MOST_OF_NEXT)) / 2
        return min(self.sound_ms, self.sound_ms * said / len(self.text))


class Ear:
    """Hears at once, and reports it to the session.

    Args:
        tracker: of the session; `None` where somebody else plays.
    """

    def __init__(self, tracker: PlaybackTracker | None) -> None:
        self._tracker = tracker
        self._parts: dict[tuple[str, int], _Part] = {}
        self._word: re.Pattern[str] | None = None
        self._holds: Callable[[str], bool] = lambda _: False
        self._waits_for_end = False
        self._near = asyncio.Event()
        self._held_part: _Part | None = None
        self._is_there = False

    @property
    def is_playing(self) -> bool:
        """Whether this is what the session takes as its player."""
        return self._tracker is not None

    def stop_at(
        self, word: str, holds: Callable[[str], bool], *, waits_for_end: bool
    ) -> asyncio.Event:
        """Hear answers of which `holds(response_id)` no further than to the end of a word.

        Returns what is set when its time is known; `reach` hears up to there. The time is a share
        of the answer: with `waits_for_end` it is told when the whole answer has come, and else as
        soon as some of what follows the word has.
        """
        self._word = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
        self._holds = holds
        self._waits_for_end = waits_for_end
        self._near, self._held_part, self._is_there = asyncio.Event(), None, False
        return self._near

    def reach(self) -> None:
        """Hear up to the end of the word."""
        self._is_there = True
        part = self._held_part
        found = None if part is None or self._word is None else self._word.search(part.text)
        if part is not None and found is not None:
            self._report(part, part.time_of(found.end()))

    def go_on(self) -> None:
        """Hear all from now on."""
        self._word = None
        for part in self._parts.values():
            self._hear(part)

    def forget(self, response_id: str) -> None:
        """An answer was cut off: what is left of it is not heard."""
        self._parts = {
            key: part for key, part in self._parts.items() if part.response_id != response_id
        }

    def words(self, item_id: str, content_index: int, response_id: str, text: str) -> None:
        """Words of an answer have come."""
        part = self._part(item_id, content_index, response_id)
        part.text += text
        self._hear(part)

    def sound(self, item_id: str, content_index: int, response_id: str, ms: float) -> None:
        """Sound of an answer has come."""
        part = self._part(item_id, content_index, response_id)
        part.sound_ms += ms
        self._hear(part)

    def ended(self, response_id: str) -> None:
        """An answer has come to its end."""
        for key, part in list(self._parts.items()):
            if part.response_id == response_id:
                part.whole = True
                self._hear(part)
                if not self._holds_at(part):
                    del self._parts[key]

    def _part(self, item_id: str, content_index: int, response_id: str) -> _Part:
        key = (item_id, content_index)
        return self._parts.setdefault(key, _Part(item_id, content_index, response_id))

    def _holds_at(self, part: _Part) -> re.Match[str] | bool:
        """Where the part holds the word; whether it may yet come to hold it."""
        if self._word is None or not self._holds(part.response_id):
            return False
        return self._word.search(part.text) or not part.whole

    def _hear(self, part: _Part) -> None:
        held = self._holds_at(part)
        if not held:
            self._report(part, part.sound_ms)
        elif self._held_part is part and self._is_there:
            # More is known of the answer by now, and so of the word's time.
            self.reach()
        elif isinstance(held, re.Match) and self._held_part is None:
            lead = part.sound_ms - part.time_of(held.end())
            if part.whole or (lead >= _LEAD_MS and not self._waits_for_end):
                self._held_part = part
                self._near.set()

    def _report(self, part: _Part, ms: float) -> None:
        if self._tracker is not None and ms > part.heard_ms:
            part.heard_ms = ms
            self._tracker.played_in_all(part.item_id, part.content_index, ms)
