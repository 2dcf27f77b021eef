"""Events that the session layer makes: kept here until the core has given them their place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from stapes import _core
    from stapes.events import SessionEvent

__all__ = ["LocalEvents"]


@dataclass(slots=True)
class _Staged:
    """What happens at a place of the order."""

    event: SessionEvent | None = None
    waiter: asyncio.Future[int] | None = None
    agent_version: int | None = None
    """The agent that takes over."""


class LocalEvents:
    """The events of one session that wait for their place, by the token that the core has of each.

    Args:
        core: gives the places.
        loop: waits for them.
    """

    __slots__ = ("_core", "_loop", "_staged", "_tokens")

    def __init__(self, core: _core.Session, loop: asyncio.AbstractEventLoop) -> None:
        self._core = core
        self._loop = loop
        self._staged: dict[int, _Staged] = {}
        self._tokens = 0

    def stage(self, event: SessionEvent | None) -> int:
        """Keeps an event for an act of the core's that will place it; its token."""
        self._tokens += 1
        self._staged[self._tokens] = _Staged(event)
        return self._tokens

    def emit(self, event: SessionEvent) -> None:
        """Puts an event into the order now."""
        self._core.local_event(self.stage(event))

    def discard(self, token: int) -> None:
        """The core refused the act: the event does not happen."""
        kept = self._staged.pop(token, None)
        if kept is not None and kept.waiter is not None and not kept.waiter.done():
            kept.waiter.cancel()

    def dispatched(self, token: int) -> asyncio.Future[int]:
        """Is done when the kept event has been given to everybody: its place in the order."""
        waiter: asyncio.Future[int] = self._loop.create_future()
        self._staged[token].waiter = waiter
        return waiter

    def all_so_far(self) -> asyncio.Future[int]:
        """Is done when all that has happened so far has been dispatched."""
        token = self.stage(None)
        heard = self.dispatched(token)
        self._core.local_event(token)
        return heard

    def take_over_on(self, token: int, agent_version: int) -> None:
        """The agent of that agent_version is in charge when the kept event is dispatched."""
        self._staged[token].agent_version = agent_version

    def peek(self, token: int) -> tuple[SessionEvent | None, int | None]:
        """The event whose turn it is, and the version of the agent that takes over."""
        kept = self._staged.get(token)
        return (None, None) if kept is None else (kept.event, kept.agent_version)

    def resolve(self, token: int, place: int) -> None:
        """Forgets the event, and tells who waits that everybody has got it."""
        kept = self._staged.pop(token, None)
        if kept is not None and kept.waiter is not None and not kept.waiter.done():
            kept.waiter.set_result(place)
