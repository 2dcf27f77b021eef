"""Events of the session layer's own, staged until the core has put them into the order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stapes.session.entries import Entries

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from stapes import _core
    from stapes.events import SessionEvent

__all__ = ["LocalEvents"]


@dataclass(slots=True)
class _Staged:
    """An event that the core knows by a token."""

    event: SessionEvent | None = None
    waiter: asyncio.Future[int] | None = None
    agent_version: int | None = None
    """The version of the agent that takes over when the event is dispatched."""


class LocalEvents(Entries[int, _Staged]):
    """The staged events of one session, by the token that the core has of each. Used on its loop.

    Args:
        core: gives each event its sequence number.
        loop: its futures say that an event was dispatched.
    """

    __slots__ = ("_core", "_loop", "_tokens")

    def __init__(self, core: _core.Session, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._core = core
        self._loop = loop
        self._tokens = 0

    def stage(self, event: SessionEvent | None) -> int:
        """Keeps an event for an act of the core's that will queue it; returns its token."""
        self._tokens += 1
        self._put(self._tokens, _Staged(event))
        return self._tokens

    def emit(self, event: SessionEvent) -> None:
        """Queues an event now."""
        self._core.local_event(self.stage(event))

    def transact(
        self,
        events: Sequence[SessionEvent],
        act: Callable[[list[int]], bool],
        *,
        takes_over: int | None = None,
    ) -> bool:
        """Stages events for an act of the core's; where the core refuses it, none of them happens.

        Args:
            events: happen with the act, in this order.
            act: gets their tokens; says whether the core took it.
            takes_over: the version of the agent that is in charge from the first event on.

        Returns:
            Whether the core took the act.
        """
        tokens = [self.stage(event) for event in events]
        if takes_over is not None:
            self._staged(tokens[0]).agent_version = takes_over
        is_taken = False
        try:
            is_taken = act(tokens)
        finally:
            if not is_taken:
                for token in tokens:
                    self.discard(token)
        return is_taken

    def discard(self, token: int) -> None:
        """Forgets an event that does not happen, because the core refused its act."""
        if (waiter := self._forget(token)) is not None:
            waiter.cancel()

    def dispatched(self, token: int) -> asyncio.Future[int]:
        """Is done when everybody has got the event; its result is the sequence number."""
        waiter: asyncio.Future[int] = self._loop.create_future()
        self._staged(token).waiter = waiter
        return waiter

    def all_so_far(self) -> asyncio.Future[int]:
        """Is done when all that has happened so far has been dispatched."""
        token = self.stage(None)
        dispatched = self.dispatched(token)
        self._core.local_event(token)
        return dispatched

    def peek(self, token: int) -> tuple[SessionEvent | None, int | None]:
        """An event that is being dispatched, and the version of the agent that takes over."""
        staged = self._get(token)
        return (None, None) if staged is None else (staged.event, staged.agent_version)

    def resolve(self, token: int, sequence: int) -> None:
        """Forgets an event that was dispatched, and wakes whoever waits for that."""
        if (waiter := self._forget(token)) is not None:
            waiter.set_result(sequence)

    def _staged(self, token: int) -> _Staged:
        staged = self._get(token)
        assert staged is not None
        return staged

    def _forget(self, token: int) -> asyncio.Future[int] | None:
        """Forgets an event; returns what waits for it still."""
        staged = self._take(token)
        self._release()
        waiter = None if staged is None else staged.waiter
        return None if waiter is None or waiter.done() else waiter
