"""Reports of a player on what it has played."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.events import Audio

__all__ = ["PlaybackTracker"]


class PlaybackTracker:
    """Tells a session what was heard, so that an interruption cuts the answer there.

    Give one to `RealtimeSession(playback=...)` and feed it from your player: `played(event, ms)`
    each time more of an answer's part has been played. Any thread may feed it. Without one the
    session takes the position from the clock: parts play one after the other, and the clock stands
    while nothing is left to play.
    """

    def __init__(self) -> None:
        self._report: Callable[[str, int, float], None] | None = None
        self._played: dict[tuple[str, int], float] = {}

    def attach(self, report: Callable[[str, int, float], None]) -> None:
        """Takes the function of the session's that gets the reports; the session calls this.

        Raises:
            ValueError: the tracker belongs to a session already.
        """
        if self._report is not None:
            raise ValueError("this PlaybackTracker belongs to a session already: make one for each")
        self._report = report

    def played(self, audio: Audio, milliseconds: float) -> None:
        """Reports that `milliseconds` more of the part that `audio` belongs to have been played."""
        key = (audio.item_id, audio.content_index)
        self.played_in_all(*key, self._played.get(key, 0.0) + milliseconds)

    def played_in_all(self, item_id: str, content_index: int, milliseconds: float) -> None:
        """Reports that `milliseconds` of that part have been played since its beginning."""
        key = (item_id, content_index)
        if key not in self._played:
            # Only the part that plays now matters; a few more are kept for players that overlap.
            while len(self._played) >= 8:
                del self._played[next(iter(self._played))]
        self._played[key] = milliseconds
        if self._report is not None:
            self._report(item_id, content_index, milliseconds)
