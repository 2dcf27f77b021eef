"""Runs synchronous tools in threads of the session layer's own.

`openai-agents` runs a synchronous function with `asyncio.to_thread`, that is in asyncio's default
executor, which also serves name look-ups and file access: slow tools would starve those. Here the
whole invocation moves to a thread of the session layer's instead, whose event loop has an executor
that runs the function in the same thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
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
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(_InPlace())

    def __del__(self) -> None:
        self.loop.close()


class _InPlace(ThreadPoolExecutor):
    """An executor that runs a function at once, in the calling thread."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except StopIteration as error:
            # No future takes it: who awaits one would wait for ever.
            stopped = RuntimeError("the tool raised StopIteration")
            stopped.__cause__ = error
            future.set_exception(stopped)
        except BaseException as error:
            future.set_exception(error)
        return future


def _run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine to its end in this thread."""
    mine: _ThreadLoop | None = getattr(_thread, "mine", None)
    if mine is None:
        mine = _thread.mine = _ThreadLoop()
    return mine.loop.run_until_complete(make())


async def run_in_worker(executor: Executor, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs what `make` returns in a thread of `executor`, with the caller's context."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(executor, context.run, _run, make)
