"""Events that the session layer makes: kept here until the core has given them their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from stapes import _core
    from stapes.events import SessionEvent

__all__ = ["Posted"]


class Posted:
    """The events of one session that wait for their place, by the token that the core has of each.

    Args:
        core: gives the places.
        loop: waits for them.
    """

    def __init__(self, core: _core.Session, loop: asyncio.AbstractEventLoop) -> None:
        self._core = core
        self._loop = loop
        self._events: dict[int, SessionEvent] = {}
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._taking_over: dict[int, int] = {}
        self._tokens = 0

    def keep(self, event: SessionEvent) -> int:
        """Keeps an event for an act of the core's that will place it; its token."""
        self._tokens += 1
        self._events[self._tokens] = event
        return self._tokens

    def place(self, event: SessionEvent) -> None:
        """Puts an event into the order now."""
        self._core.local_event(self.keep(event))

    def forget(self, token: int) -> None:
        """The core refused the act: the event does not happen."""
        self._events.pop(token, None)
        self._taking_over.pop(token, None)
        if (waiter := self._waiting.pop(token, None)) and not waiter.done():
            waiter.cancel()

    def heard(self, token: int) -> asyncio.Future[int]:
        """Is done when the kept event has been given to everybody: its place in the order."""
        waiter: asyncio.Future[int] = self._loop.create_future()
        self._waiting[token] = waiter
        return waiter

    def all_so_far(self) -> asyncio.Future[int]:
        """Is done when all that has happened so far has been dispatched."""
        self._tokens += 1
        heard = self.heard(self._tokens)
        self._core.local_event(self._tokens)
        return heard

    def take_over_on(self, token: int, epoch: int) -> None:
        """The agent of that epoch is in charge when the kept event is dispatched."""
        self._taking_over[token] = epoch

    def take(self, token: int) -> tuple[SessionEvent | None, int | None]:
        """The event whose turn it is, and the epoch of the agent that takes over with it."""
        return self._events.pop(token, None), self._taking_over.pop(token, None)

    def dispatched(self, token: int, place: int) -> None:
        """Tells who waits that everybody has got the event."""
        if (waiter := self._waiting.pop(token, None)) and not waiter.done():
            waiter.set_result(place)
