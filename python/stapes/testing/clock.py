"""A virtual clock for conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.session import RealtimeSession
    from stapes.session.probe import SessionProbe

__all__ = ["VirtualClock"]


class _HasProbe(Protocol):
    """A session of whatever kind."""

    @property
    def probe(self) -> SessionProbe: ...


S = TypeVar("S", bound=_HasProbe)


class VirtualClock:
    """A clock that stands still until a test moves it.

    Playback positions, timings and the patience with unanswered requests follow it. Timeouts of
    sockets stay real.

        clock = VirtualClock()
        session = clock.session(agent, api_key="test")
        clock.advance(0.120)
    """

    def __init__(self) -> None:
        self._sessions: list[_HasProbe] = []
        self._now = 0.0

    @property
    def now(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    def session(self, agent: Any, **options: Any) -> RealtimeSession[Any]:
        """A `RealtimeSession(agent, **options)` whose conversation uses this clock."""
        from stapes.session import RealtimeSession

        return self.made(lambda: RealtimeSession(agent, **options))

    def made(self, make: Callable[[], S]) -> S:
        """The session that `make` makes, such as a `RealtimeTranscription`; it uses this clock."""
        from stapes.virtual_time import has_virtual_time

        token = has_virtual_time.set(True)
        try:
            session = make()
        finally:
            has_virtual_time.reset(token)
        if self._now:
            session.probe.advance_clock(self._now)
        self._sessions.append(session)
        return session

    def advance(self, seconds: float) -> None:
        """Moves the time forward; timers that become due fire.

        Raises:
            ValueError: `seconds` is negative or not finite.
        """
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"seconds is {seconds!r}: time goes forward by a finite number")
        self._now += seconds
        for session in self._sessions:
            session.probe.advance_clock(seconds)
