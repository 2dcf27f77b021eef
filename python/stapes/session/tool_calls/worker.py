"""Runs synchronous tools in threads of the session layer's own.

`openai-agents` runs a synchronous function with `asyncio.to_thread`, that is in asyncio's default
executor, which also serves name look-ups and file access: slow tools would starve those. Here the
whole invocation moves to a thread of the session layer's instead, whose event loop has an executor
that runs the function in the same thread. The loop stands still meanwhile: the function finds none
that runs, as in any other thread, and may run one of its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

__all__ = ["run_in_worker"]

P = ParamSpec("P")
T = TypeVar("T")

_thread = threading.local()


class _ThreadLoop:
    """The event loop of a thread; it is closed when the thread ends."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._functions = _BesideLoop(self._loop)
        self._loop.set_default_executor(self._functions)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine to its end."""
        task = self._loop.create_task(work)
        task.add_done_callback(lambda _: self._loop.stop())
        try:
            while not task.done():
                self._loop.run_forever()
                self._functions.work()
        except BaseException:
            # What ends the process: it has been raised here, and is not to be logged as lost.
            if task.done() and not task.cancelled():
                task.exception()
            raise
        return task.result()

    def __del__(self) -> None:
        self._loop.close()


class _BesideLoop(ThreadPoolExecutor):
    """An executor that stops the loop of its thread, and runs functions there when it stands.

    Args:
        loop: whose coroutines submit them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(max_workers=1)
        self._loop = loop
        self._due: deque[Callable[[], None]] = deque()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._due.append(functools.partial(_complete, future, fn, *args, **kwargs))
        self._loop.stop()
        return future

    def work(self) -> None:
        """Runs what was submitted."""
        while self._due:
            self._due.popleft()()


def _complete(future: Future[T], fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(fn(*args, **kwargs))
    except StopIteration as error:
        # No future takes it: who awaits one would wait for ever.
        stopped = RuntimeError("the tool raised StopIteration")
        stopped.__cause__ = error
        future.set_exception(stopped)
    except BaseException as error:
        future.set_exception(error)


def _run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine to its end in this thread."""
    mine: _ThreadLoop | None = getattr(_thread, "mine", None)
    if mine is None:
        mine = _thread.mine = _ThreadLoop()
    return mine.run(make())


async def run_in_worker(executor: Executor, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs what `make` returns in a thread of `executor`, with the caller's context."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(executor, context.run, _run, make)
