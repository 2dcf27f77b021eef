"""Threads that do not keep the process alive."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DaemonThreads"]

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(Executor):
    """So many threads at most, which do not keep the process alive.

    `ThreadPoolExecutor` waits for its threads when the interpreter ends: a tool that is stuck would
    keep a program running whose `main` has returned.

    Args:
        most: how many threads.
        name: the beginning of theirs.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = threading.Semaphore(0)
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs `fn(*args, **kwargs)` in a thread, as soon as one is free."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self._queue.put(work)
        if not self._idle.acquire(blocking=False):
            self._add_thread()
        return future

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """Ends the threads that are idle, and each other one when it is."""
        with self._lock:
            for _ in range(self._threads):
                self._queue.put(None)

    def _add_thread(self) -> None:
        with self._lock:
            if self._threads == self._most:
                return
            self._threads += 1
            name = f"{self._name}_{self._threads}"
        # The thread does not keep this alive, and ends with it.
        threading.Thread(
            target=_serve, args=(self._queue, self._idle), name=name, daemon=True
        ).start()


def _serve(queue: SimpleQueue[Callable[[], None] | None], idle: threading.Semaphore) -> None:
    while (work := queue.get()) is not None:
        work()
        del work
        idle.release()
