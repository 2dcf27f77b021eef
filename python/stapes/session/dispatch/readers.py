"""Readers of a session's events, and the inbox of each."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stapes.errors import ConsumerTooSlow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from stapes._core import EventQueue
    from stapes.events import AnyEvent, AudioInterrupted

__all__ = ["EventReader", "Inbox"]

E = TypeVar("E")


class Inbox:
    """The events that one reader has not read yet.

    Args:
        kinds: the classes of the events that the reader wants.
        queue: holds them.
        remove: is called when the reader wants nothing more.
        overflown: is called when the reader was too slow, if that ends the connection.
        loop: the session's, on which it is read.
    """

    __slots__ = (
        "_ended",
        "_loop",
        "_overflown",
        "_queue",
        "_remove",
        "_too_slow",
        "_waiters",
        "kinds",
    )

    def __init__(
        self,
        kinds: frozenset[type[Any]],
        queue: EventQueue,
        remove: Callable[[Inbox], None],
        overflown: Callable[[ConsumerTooSlow], None] | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.kinds = kinds
        self._queue = queue
        self._remove = remove
        self._overflown = overflown
        self._loop = loop
        # Of the tasks that wait, each gets the next event in its turn.
        self._waiters: tuple[asyncio.Future[None], ...] = ()
        self._ended = False
        self._too_slow: ConsumerTooSlow | None = None

    def put(self, event: AnyEvent) -> None:
        """Takes an event in."""
        overflown = self._queue.put(event)
        if overflown is not None and self._too_slow is None:
            self._overflow(overflown)
        if self._waiters:
            self._wake(len(self._queue))

    def purge(self, interruption: AudioInterrupted) -> None:
        """Drops the audio of an answer that was interrupted, where the reader wants audio alone."""
        if len(self._queue):
            self._queue.put(interruption)

    def end(self) -> None:
        """Lets the reader end after what it has not read yet."""
        self._ended = True
        self._wake(len(self._waiters))

    def close(self) -> None:
        """Takes no more events: the reader stops, and so does whoever waits in it."""
        self._remove(self)
        self.end()

    async def take(self) -> AnyEvent:
        """Waits for the oldest event, and takes it."""
        while True:
            while not len(self._queue):
                if self._ended:
                    self.close()
                    raise StopAsyncIteration
                await self._more()
            event = self._queue.get()
            if event is None:
                assert self._too_slow is not None
                self.close()
                raise self._too_slow
            if type(event) in self.kinds:
                return event

    async def _more(self) -> None:
        """Waits until there may be an event, or no more of them."""
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                "the session was made on another event loop: read its events on that one"
            )
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters = (*self._waiters, waiter)
        try:
            await waiter
        except BaseException:
            self._waiters = tuple(one for one in self._waiters if one is not waiter)
            if waiter.done() and not waiter.cancelled():
                # Its event is for the next one who waits.
                self._wake(1)
            raise

    def _wake(self, count: int) -> None:
        woken, self._waiters = self._waiters[:count], self._waiters[count:]
        for waiter in woken:
            if not waiter.done():
                waiter.set_result(None)

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
    the loop to stop reading; call `close` on a reader that you keep, or use it in a `with`. Tasks
    that share a reader share its events. A reader keeps its session alive.
    """

    __slots__ = ("__weakref__", "_inbox", "_keeps")

    def __init__(self, inbox: Inbox, keeps: object) -> None:
        self._inbox = inbox
        self._keeps: object = keeps

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        return await self._inbox.take()  # type: ignore[return-value]

    def close(self) -> None:
        """Stops reading, and keeps the session alive no longer."""
        self._inbox.close()
        self._keeps = None

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
