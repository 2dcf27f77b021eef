"""Runs users' code, and reports failures that nobody awaits."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import logging
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from stapes.errors import StapesError
from stapes.events import Error
from stapes.session.completion import Completion, done
from stapes.session.entries import Entries
from stapes.session.failures import ends_more, uncancelled
from stapes.session.invocation import causing_sequence, session_and_history

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from stapes import _core
    from stapes.session.local_events import LocalEvents

__all__ = ["Tasks"]

logger = logging.getLogger("stapes")

T = TypeVar("T")

_WORK = "code that the session ran"


class Tasks(Entries[asyncio.Task[Any], object]):
    """The tasks of one session, each of which keeps the session alive while it runs.

    Args:
        session: is kept alive by its tasks and completions alone.
        core: knows the history and the sequence number of the moment.
        loop: runs the tasks.
        local_events: take the failures.
    """

    __slots__ = ("_core", "_local_events", "_loop", "_session_ref")

    def __init__(
        self,
        session: object,
        core: _core.Session,
        loop: asyncio.AbstractEventLoop,
        local_events: LocalEvents,
    ) -> None:
        # The values keep the session alive until the last task is done.
        super().__init__()
        self._session_ref = weakref.ref(session)
        self._core = core
        self._loop = loop
        self._local_events = local_events

    def __len__(self) -> int:
        """The number of tasks that run."""
        return self._count()

    def spawn(self, work: Coroutine[Any, Any, object]) -> None:
        """Runs `work` as a task of its own; its failure becomes an `error` event."""
        self._start(work, contextvars.copy_context()).add_done_callback(self._ended)

    def invoke(self, work: Coroutine[Any, Any, object]) -> None:
        """Runs users' code for the event that is being dispatched, as `spawn` does.

        The code sees the history of this moment, whatever comes later.
        """
        context = self.own_context()
        context.run(causing_sequence.set, self._core.dispatched)
        self._start(work, context).add_done_callback(self._ended)

    def own_context(self) -> contextvars.Context:
        """A copy of the current context in which code runs for this session.

        It sees the history of this moment, or of its call where it runs for the session already.
        """
        context = contextvars.copy_context()
        session, pinned = self._session_ref(), context.get(session_and_history)
        if pinned is None or pinned[0] is not session:
            context.run(session_and_history.set, (session, self._core.history))
        return context

    @contextmanager
    def owning(self) -> Iterator[None]:
        """Inside, the running task's code runs for this session, as in `own_context()`."""
        owned = self.own_context()[session_and_history]
        token = session_and_history.set(owned)
        try:
            yield
        finally:
            session_and_history.reset(token)

    def completion(
        self, work: Coroutine[Any, Any, T], context: contextvars.Context | None = None
    ) -> Completion[T]:
        """Runs `work`, from any thread, for the completion that it returns.

        Args:
            work: is run on the session's loop.
            context: to run it in; by default `own_context()`.
        """
        context = self.own_context() if context is None else context
        if self.is_here:
            task = self._start(uncancelled(work, _WORK), context)
            task.add_done_callback(self._done)
            return Completion(future=task, report=self.report_from_anywhere)
        ended: concurrent.futures.Future[T] = concurrent.futures.Future()
        start = functools.partial(self._start_for, work, context, ended)
        try:
            self._loop.call_soon_threadsafe(start)
        except RuntimeError:
            work.close()
            return self.failed(StapesError("the event loop that the session was made on is closed"))
        return Completion(future=ended, report=self.report_from_anywhere)

    @property
    def is_here(self) -> bool:
        """Whether the session's loop runs this code; it may be in another thread."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    async def awaited_here(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Awaits `work` on the session's loop, from whichever loop this is."""
        if self.is_here:
            return await work()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), self._loop))

    def here(self, act: Callable[..., object], *args: Any) -> None:
        """Calls `act` on the session's loop: at once, or soon where this is another thread."""
        if self.is_here:
            act(*args)
            return
        with suppress(RuntimeError):
            # A loop that is closed has nobody who waits.
            self._loop.call_soon_threadsafe(act, *args)

    def flushed(self) -> Completion[None]:
        """Awaited, it waits until all that has happened so far has been dispatched."""
        if self._loop.is_closed():
            return done()
        if not self.is_here:
            return self.completion(_flushed(self._local_events))
        dispatched = self._local_events.all_so_far()
        return Completion(wait=lambda: _until(dispatched), keeps=self._session_ref())

    async def until_dispatched(self) -> None:
        """Waits until all that has happened so far has been dispatched, from whichever loop."""
        if not self._loop.is_closed():
            await self.awaited_here(functools.partial(_flushed, self._local_events))

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
            logger.warning("a command failed, and its event loop is closed", exc_info=error)

    def _start(
        self, work: Coroutine[Any, Any, T], context: contextvars.Context | None
    ) -> asyncio.Task[T]:
        task = self._loop.create_task(work, context=context)
        self._put(task, self._session_ref())
        return task

    def _start_for(
        self,
        work: Coroutine[Any, Any, T],
        context: contextvars.Context,
        ended: concurrent.futures.Future[T],
    ) -> None:
        """Runs `work` for a completion in another thread."""
        task = self._start(uncancelled(work, _WORK), context)
        task.add_done_callback(self._done)
        task.add_done_callback(lambda _: _pass_on(task, ended))

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._take(task)
        self._release()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._done(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if not ends_more(error):
            self.report(error)


def _pass_on(task: asyncio.Task[T], ended: concurrent.futures.Future[T]) -> None:
    if not ended.set_running_or_notify_cancel():
        return
    if task.cancelled():
        ended.set_exception(StapesError("the event loop ended before the command did"))
    elif (error := task.exception()) is not None:
        ended.set_exception(error)
    else:
        ended.set_result(task.result())


async def _flushed(local_events: LocalEvents) -> None:
    await _until(local_events.all_so_far())


async def _until(dispatched: asyncio.Future[int]) -> None:
    await asyncio.shield(dispatched)
