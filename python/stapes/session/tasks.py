"""Runs users' code, and reports failures that nobody awaits."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from stapes.errors import StapesError
from stapes.events import Error
from stapes.session.completion import Completion, done
from stapes.session.invocation import causing_sequence, session_and_history

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from stapes import _core
    from stapes.session.local_events import LocalEvents

__all__ = ["Tasks"]

logger = logging.getLogger("stapes")

T = TypeVar("T")


class Tasks:
    """The tasks of one session, each of which keeps the session alive while it runs.

    Args:
        session: is kept alive by its tasks and completions alone.
        core: knows the history and the sequence number of the moment.
        loop: runs the tasks.
        local_events: take the failures.
    """

    __slots__ = ("_core", "_local_events", "_loop", "_running", "_session_ref")

    def __init__(
        self,
        session: object,
        core: _core.Session,
        loop: asyncio.AbstractEventLoop,
        local_events: LocalEvents,
    ) -> None:
        self._session_ref = weakref.ref(session)
        self._core = core
        self._loop = loop
        self._local_events = local_events
        # The values keep the session alive until the last task is done.
        self._running: dict[asyncio.Task[Any], object] = {}

    def __len__(self) -> int:
        """The number of tasks that run."""
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Runs `work` as a task of its own; its failure becomes an `error` event."""
        self._start(work, contextvars.copy_context()).add_done_callback(self._ended)

    def invoke(self, work: Coroutine[Any, Any, object]) -> None:
        """Runs users' code for the event that is being dispatched, as `spawn` does.

        The code sees the history of this moment, whatever comes later.
        """
        context = contextvars.copy_context()
        context.run(session_and_history.set, (self._session_ref(), self._core.history))
        context.run(causing_sequence.set, self._core.dispatched)
        self._start(work, context).add_done_callback(self._ended)

    def completion(self, work: Coroutine[Any, Any, T]) -> Completion[T]:
        """Runs `work` for the completion that it returns."""
        task = self._start(work, None)
        task.add_done_callback(self._running.pop)
        return Completion(future=task, report=self.report)

    def flushed(self) -> Completion[None]:
        """Awaited, it waits until all that has happened so far has been dispatched."""
        dispatched = self._local_events.all_so_far()
        return Completion(wait=lambda: _until(dispatched), keeps=self._session_ref())

    def failed(self, error: BaseException) -> Completion[Any]:
        """The completion of a command that failed at once."""
        return Completion(error=error, report=self.report_from_anywhere)

    def command(self, act: Callable[..., object], *args: Any) -> Completion[None]:
        """Calls `act`, which takes effect at once; a `StapesError` fails the completion."""
        try:
            act(*args)
        except StapesError as error:
            return self.failed(error)
        return done()

    def report(self, error: BaseException) -> None:
        """Makes an `error` event of a failure that nobody awaited."""
        self._local_events.emit(Error(error))

    def report_from_anywhere(self, error: BaseException) -> None:
        """The same from any thread."""
        try:
            self._loop.call_soon_threadsafe(self.report, error)
        except RuntimeError:
            logger.debug("a command failed after its loop was closed", exc_info=error)

    def _start(
        self, work: Coroutine[Any, Any, T], context: contextvars.Context | None
    ) -> asyncio.Task[T]:
        task = self._loop.create_task(work, context=context)
        self._running[task] = self._session_ref()
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.report(error)


async def _until(dispatched: asyncio.Future[int]) -> None:
    await asyncio.shield(dispatched)
