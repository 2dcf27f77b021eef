"""What a user's playback tracker says was heard, for the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agents.realtime.model import RealtimePlaybackTracker

    from stapes import _core
    from stapes.agents_sdk.parts import Part

__all__ = ["FollowedTracker"]

_SHORT_NAMES = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
"""Of the formats on the wire, as the SDK's own model names them."""


class FollowedTracker:
    """A `RealtimePlaybackTracker` of the user's, which is asked and not told: the core is told.

    Args:
        tracker: the user's.
        core: takes the position.
    """

    __slots__ = ("_core", "_told", "_tracker")

    def __init__(self, tracker: RealtimePlaybackTracker, core: _core.Session) -> None:
        self._tracker = tracker
        self._core = core
        self._told: tuple[str, int, float] | None = None

    def follow(self) -> None:
        """Tells the core where the player is now."""
        state = self._tracker.get_state()
        item_id, elapsed_ms = state.get("current_item_id"), state.get("elapsed_ms")
        if item_id is None or elapsed_ms is None:
            return
        position = (item_id, state.get("current_item_content_index") or 0, max(elapsed_ms, 0.0))
        if position != self._told:
            self._told = position
            self._core.playback_reported(*position)

    def interrupted(self, parts: Iterable[Part]) -> None:
        """These parts were cut: the player stops, if it is at one of them."""
        state = self._tracker.get_state()
        item_id = state.get("current_item_id")
        if item_id is None or (item_id, state.get("current_item_content_index") or 0) in parts:
            self._tracker.on_interrupted()

    def configured(self, session: Mapping[str, Any]) -> None:
        """The server has stated its configuration: the tracker counts bytes by its format."""
        stated: Any = session
        for key in ("audio", "output", "format"):
            stated = stated.get(key) if isinstance(stated, dict) else None
        name = stated.get("type") if isinstance(stated, dict) else stated
        if isinstance(name, str) and name:
            self._tracker.set_audio_format(_SHORT_NAMES.get(name, name))

    def forget(self) -> None:
        """The connection is over, and nothing of it plays."""
        self._tracker.on_interrupted()
