"""The interest flags of the core, which makes no message that nobody wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stapes.session.agents.roster import Roster
    from stapes.session.dispatch.listeners import Listeners

__all__ = ["Interest", "ListenerInterest"]

_FLAGS = {
    "audio": _core.INTEREST_AUDIO,
    "transport_event": _core.INTEREST_RAW,
    "transcript_delta": _core.INTEREST_TRANSCRIPT,
    "history_updated": _core.INTEREST_HISTORY,
    "playback_ended": _core.INTEREST_PLAYBACK,
    "response_done": _core.INTEREST_RESPONSES,
}


class ListenerInterest:
    """Keeps the core's interest flags at what the listeners of one session want.

    Args:
        core: makes the messages.
        listeners: want types of events.
        flags: what the core has to make for each type.
    """

    __slots__ = ("_by_type", "_core", "_flags", "_listeners", "outgoing_taps")

    def __init__(self, core: _core.Session, listeners: Listeners, flags: Mapping[str, int]) -> None:
        self._core = core
        self._listeners = listeners
        self._by_type = flags
        self._flags = -1
        self.outgoing_taps: tuple[Callable[[int, str], None], ...] = ()
        """Called with the sequence number and the text of each message for the server."""

    def update(self) -> None:
        """Tells the core, where it has changed."""
        wanted = self._listeners.types
        flags = self._besides()
        for name, flag in self._by_type.items():
            if name in wanted:
                flags |= flag
        if self.outgoing_taps:
            flags |= _core.INTEREST_OUTGOING
        if flags != self._flags:
            self._flags = flags
            self._core.set_interest(flags)

    def tap_outgoing(self, tap: Callable[[int, str], None]) -> None:
        """Calls `tap` with the sequence number and the text of each message for the server."""
        self.outgoing_taps = (*self.outgoing_taps, tap)
        self.update()

    def _besides(self) -> int:
        """What the session wants whoever listens."""
        return 0


class Interest(ListenerInterest):
    """The same of a session with agents, whose guardrails want words.

    Args:
        core: makes the messages.
        listeners: want types of events.
        roster: has the agent in charge, which may have guardrails.
        has_guardrails: the session has some in any case.
    """

    __slots__ = ("_has_guardrails", "_roster")

    def __init__(
        self, core: _core.Session, listeners: Listeners, roster: Roster, *, has_guardrails: bool
    ) -> None:
        super().__init__(core, listeners, _FLAGS)
        self._roster = roster
        self._has_guardrails = has_guardrails

    def _besides(self) -> int:
        if self._has_guardrails or self._roster.current.output_guardrails:
            return _core.INTEREST_GUARDRAILS
        return 0
