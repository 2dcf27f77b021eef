"""Delivers a connection's events to the listeners, in order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from agents.realtime.model_events import RealtimeModelExceptionEvent

from stapes.session.failures import as_failure, ends_more

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agents.realtime import RealtimeModelListener
    from agents.realtime.model_events import RealtimeModelEvent

__all__ = ["Delivery"]

logger = logging.getLogger("stapes")


class Delivery:
    """Gives each event to each listener, and awaits it, before the next one.

    Args:
        listeners: the model's, as they are at the time of each event.
        max_events: how many events may wait.
        max_bytes: how many bytes of sound and of the server's text in them.
        overflown: called once, with the number of events that waited, where there were more; the
            listeners get nothing after that but what is put by then.
    """

    __slots__ = (
        "_bytes",
        "_ended",
        "_events",
        "_idle",
        "_is_overflown",
        "_listeners",
        "_max_bytes",
        "_max_events",
        "_overflown",
        "_task",
    )

    def __init__(
        self,
        listeners: Sequence[RealtimeModelListener],
        *,
        max_events: int,
        max_bytes: int,
        overflown: Callable[[int], None],
    ) -> None:
        self._listeners = listeners
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._overflown = overflown
        self._events: deque[tuple[RealtimeModelEvent, int]] = deque()
        self._bytes = 0
        self._ended = False
        self._is_overflown = False
        # What the task waits for while there is nothing to deliver.
        self._idle: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begins to deliver, in a task with a copy of the current context."""
        self._task = asyncio.create_task(self._run(), name="stapes-agents-sdk-delivery")

    @property
    def is_here(self) -> bool:
        """Whether a listener runs this code."""
        return self._task is not None and asyncio.current_task() is self._task

    def put(self, event: RealtimeModelEvent, size: int = 0) -> None:
        """Delivers an event with so many bytes of sound or text."""
        if self._ended or self._is_overflown:
            return
        self._events.append((event, size))
        self._bytes += size
        if len(self._events) > self._max_events or self._bytes > self._max_bytes:
            waiting = len(self._events)
            self._events.clear()
            self._bytes = 0
            self._overflown(waiting)
            self._is_overflown = True
        self._wake()

    def end(self) -> None:
        """Delivers what waits, and nothing that comes later."""
        self._ended = True
        self._wake()

    async def stop(self) -> None:
        """Delivers nothing more. A listener that is at work is cancelled, unless it calls this."""
        self._ended = True
        self._events.clear()
        task, self._task = self._task, None
        if task is None or task is asyncio.current_task():
            return
        task.cancel()
        await asyncio.wait([task])

    def _wake(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None and not idle.done():
            idle.set_result(None)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        events = self._events
        while True:
            while events:
                event, size = events.popleft()
                self._bytes -= size
                await self._tell(event)
            if self._ended:
                return
            self._idle = loop.create_future()
            await self._idle

    async def _tell(self, event: RealtimeModelEvent) -> None:
        # One may be added or removed meanwhile.
        for listener in tuple(self._listeners):
            try:
                await listener.on_event(event)
            except (Exception, asyncio.CancelledError) as raised:
                if ends_more(raised):
                    raise
                logger.exception("a listener failed at a %s event", event.type)
                if event.type == "exception":
                    continue
                error = as_failure(raised, "a listener")
                context = f"a listener failed at a {event.type} event"
                await self._tell(RealtimeModelExceptionEvent(error, context))  # type: ignore[arg-type]
