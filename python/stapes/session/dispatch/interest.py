"""The interest flags of the core, which makes no message that nobody wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes import _core

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.session.agents.roster import Roster
    from stapes.session.dispatch.listeners import Listeners

__all__ = ["Interest"]

_FLAGS = {
    "audio": _core.INTEREST_AUDIO,
    "transport_event": _core.INTEREST_RAW,
    "transcript_delta": _core.INTEREST_TRANSCRIPT,
    "history_updated": _core.INTEREST_HISTORY,
    "playback_ended": _core.INTEREST_PLAYBACK,
    "response_done": _core.INTEREST_RESPONSES,
}


class Interest:
    """Keeps the core's interest flags at what the listeners of one session want.

    Args:
        core: makes the messages.
        listeners: want types of events.
        roster: has the agent in charge, which may have guardrails.
        has_guardrails: the session has some in any case.
    """

    __slots__ = ("_core", "_flags", "_has_guardrails", "_listeners", "_roster", "outgoing_taps")

    def __init__(
        self, core: _core.Session, listeners: Listeners, roster: Roster, *, has_guardrails: bool
    ) -> None:
        self._core = core
        self._listeners = listeners
        self._roster = roster
        self._has_guardrails = has_guardrails
        self._flags = -1
        self.outgoing_taps: tuple[Callable[[int, str], None], ...] = ()
        """Called with the sequence number and the text of each message for the server."""

    def update(self) -> None:
        """Tells the core, where it has changed."""
        wanted = self._listeners.types
        flags = 0
        for name, flag in _FLAGS.items():
            if name in wanted:
                flags |= flag
        if self.outgoing_taps:
            flags |= _core.INTEREST_OUTGOING
        if self._has_guardrails or self._roster.current.output_guardrails:
            flags |= _core.INTEREST_GUARDRAILS
        if flags != self._flags:
            self._flags = flags
            self._core.set_interest(flags)

    def tap_outgoing(self, tap: Callable[[int, str], None]) -> None:
        """Calls `tap` with the sequence number and the text of each message for the server."""
        self.outgoing_taps = (*self.outgoing_taps, tap)
        self.update()
