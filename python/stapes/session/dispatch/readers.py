"""Readers of a session's events, and the inbox of each."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stapes.errors import ConsumerTooSlow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from stapes._core import EventQueue
    from stapes.events import SessionEvent

__all__ = ["EventReader", "Inbox"]

E = TypeVar("E")


class Inbox:
    """The events that one reader has not read yet.

    Args:
        kinds: the classes of the events that the reader wants.
        queue: holds them.
        remove: is called when the reader wants nothing more.
        overflown: is called when the reader was too slow, if that ends the connection.
    """

    __slots__ = ("_ended", "_overflown", "_queue", "_remove", "_too_slow", "_waiter", "kinds")

    def __init__(
        self,
        kinds: frozenset[type[Any]],
        queue: EventQueue,
        remove: Callable[[Inbox], None],
        overflown: Callable[[ConsumerTooSlow], None] | None,
    ) -> None:
        self.kinds = kinds
        self._queue = queue
        self._remove = remove
        self._overflown = overflown
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._too_slow: ConsumerTooSlow | None = None

    def put(self, event: SessionEvent) -> None:
        """Takes an event in."""
        overflown = self._queue.put(event)
        if overflown is not None and self._too_slow is None:
            self._overflow(overflown)
        self._notify()

    def end(self) -> None:
        """Lets the reader end after what it has not read yet."""
        self._ended = True
        self._notify()

    def close(self) -> None:
        """Takes no more events: the reader stops."""
        self._ended = True
        self._remove(self)

    async def take(self) -> SessionEvent:
        """Waits for the oldest event, and takes it."""
        while not len(self._queue):
            if self._ended:
                self.close()
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        event = self._queue.get()
        if event is None:
            assert self._too_slow is not None
            self.close()
            raise self._too_slow
        return event

    def _notify(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _overflow(self, waiting: int) -> None:
        closed = "" if self._overflown is None else " and the connection is closed"
        self._too_slow = ConsumerTooSlow(
            f"{waiting} events were waiting to be read and none of them may be dropped{closed}: "
            "read faster, name the events that you need to session.events(...), or raise "
            "max_queued_events"
        )
        self._remove(self)
        if self._overflown is not None:
            self._overflown(self._too_slow)


class EventReader(Generic[E]):
    """Goes through a session's events: `async for event in session.events(...)`.

    It ends when the session's connection is over and what came before has been read. Break out of
    the loop to stop reading; call `close` on a reader that you keep, or use it in a `with`.
    """

    __slots__ = ("__weakref__", "_inbox")

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        return await self._inbox.take()  # type: ignore[return-value]

    def close(self) -> None:
        """Stops reading."""
        self._inbox.close()

    async def aclose(self) -> None:
        """Stops reading."""
        self.close()

    def __enter__(self) -> EventReader[E]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A loop that breaks drops its reader. The core of a forked process refuses to be told.
        with suppress(RuntimeError):
            self._inbox.close()
