"""Async callbacks: each has a worker of its own, which gives it its events one after the other."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from stapes._core import EventQueue
from stapes.errors import ConsumerTooSlow
from stapes.events import AnyEvent, AudioInterrupted, Lagging, ToolApprovalRequested
from stapes.session.failures import ends_more

__all__ = ["CallbackHost", "CallbackWorker", "is_async"]

logger = logging.getLogger("stapes")

_APPROVALS = 64
"""Requests for approval that one callback may be at work on."""


class CallbackHost(Protocol):
    """The session's side of its callbacks."""

    def run_callback(self, work: Coroutine[Any, Any, None]) -> None:
        """An async callback is to be run."""

    def callback_failed(self, event: AnyEvent, error: BaseException) -> None:
        """A callback raised."""

    def callback_lagged(self, lagging: Lagging) -> None:
        """An async callback is slow, and events for it were dropped."""

    def callback_too_slow(self, error: ConsumerTooSlow) -> None:
        """An async callback is so slow that what waited for it was given up."""


def is_async(callback: Callable[[Any], Any]) -> bool:
    """Whether a call of it returns a coroutine, as far as one can tell before."""
    return inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(
        getattr(callback, "__call__", None)  # noqa: B004
    )


class CallbackWorker:
    """Calls one async callback with each of its events, in order; is called with them itself.

    What waits is bounded, and dropped as for a reader. Audio of an answer that was interrupted is
    dropped before the callback gets to it. Callbacks for requests for approval overlap: one that
    awaits `session.approve(...)` waits for the tool.

    Args:
        event: the type that the callback is for, or `*`.
        callback: is called.
        concurrency: calls that may be at work at once; above 1, they begin in order.
        max_events: how many may wait.
        max_bytes: how many bytes of them.
        host: gives the session's side while there is one; it is not kept alive.
    """

    __slots__ = (
        "_concurrency",
        "_event",
        "_has_told",
        "_host_ref",
        "_limits",
        "_overlapping",
        "_queue",
        "_working",
        "callback",
    )

    def __init__(
        self,
        event: str,
        callback: Callable[[Any], Any],
        concurrency: int,
        max_events: int,
        max_bytes: int,
        host: Callable[[], CallbackHost | None],
    ) -> None:
        self.callback = callback
        self._event = event
        self._concurrency = concurrency
        self._limits = (max_events, max_bytes)
        self._host_ref = host
        self._queue = EventQueue(max_events, max_bytes)
        self._working = 0
        self._overlapping = 0
        self._has_told = False

    def __call__(self, event: AnyEvent) -> None:
        """Queues an event for the callback."""
        overflown = self._queue.put(event)
        if overflown is not None:
            self._give_up(overflown)
        if self._working < self._concurrency and len(self._queue):
            self._start(self._work())

    def purge(self, interruption: AudioInterrupted) -> None:
        """Drops the audio of an answer that was interrupted, for a callback for audio alone."""
        if len(self._queue):
            self._queue.put(interruption)

    def first(self, event: AnyEvent, result: Coroutine[Any, Any, Any]) -> None:
        """Goes on with a call that has returned a coroutine unexpectedly."""
        if self._host_ref() is None:
            result.close()
        else:
            self._start(self._work(event, result))

    def stop(self) -> None:
        """Calls the callback no more, not even with what waits."""
        self._queue = EventQueue(*self._limits)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        if (host := self._host_ref()) is None:
            work.close()
        else:
            self._working += 1
            host.run_callback(work)

    async def _work(
        self, event: AnyEvent | None = None, result: Coroutine[Any, Any, Any] | None = None
    ) -> None:
        try:
            if event is not None and result is not None:
                await self._awaited(event, result)
            while len(self._queue):
                event = self._queue.get()
                if event is None:
                    continue
                if not self._wants(event):
                    if isinstance(event, Lagging):
                        self._tell(event)
                elif isinstance(event, ToolApprovalRequested) and self._overlapping < _APPROVALS:
                    self._overlap(event)
                else:
                    await self._call(event)
        finally:
            self._working -= 1

    def _wants(self, event: AnyEvent) -> bool:
        # `*` does not cover raw events, but is never given any.
        return self._event in {"*", event.type}

    def _overlap(self, event: ToolApprovalRequested) -> None:
        if (host := self._host_ref()) is not None:
            self._overlapping += 1
            host.run_callback(self._call_apart(event))

    async def _call_apart(self, event: AnyEvent) -> None:
        try:
            await self._call(event)
        finally:
            self._overlapping -= 1

    async def _call(self, event: AnyEvent) -> None:
        try:
            result = self.callback(event)
        except BaseException as error:
            self._failed(event, error)
        else:
            if isinstance(result, Coroutine):
                await self._awaited(event, result)

    async def _awaited(self, event: AnyEvent, result: Coroutine[Any, Any, Any]) -> None:
        try:
            await result
        except BaseException as error:
            self._failed(event, error)

    def _failed(self, event: AnyEvent, error: BaseException) -> None:
        if ends_more(error):
            raise error
        if (host := self._host_ref()) is not None:
            host.callback_failed(event, error)

    def _tell(self, lagging: Lagging) -> None:
        if not self._has_told:
            self._has_told = True
            logger.warning(
                "the callback %s for %s is slow: audio, transcript deltas or raw events for it are "
                "dropped, oldest first; on('lagging', ...) gets each time how many",
                self._name,
                self._event,
            )
        if (host := self._host_ref()) is not None:
            host.callback_lagged(lagging)

    def _give_up(self, waiting: int) -> None:
        self._queue = EventQueue(*self._limits)
        if (host := self._host_ref()) is not None:
            host.callback_too_slow(
                ConsumerTooSlow(
                    f"{waiting} events were waiting for the callback {self._name} for "
                    f"{self._event}, and none of them may be dropped: they are given up. Return "
                    "from it sooner, register it with concurrency, or raise max_queued_events"
                )
            )

    @property
    def _name(self) -> str:
        return str(getattr(self.callback, "__qualname__", type(self.callback).__qualname__))
