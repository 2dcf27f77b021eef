"""The asyncio half of the hub: one for each event loop, one wake-up for each batch."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from stapes import _core
from stapes.event_loop import EventLoop

if TYPE_CHECKING:
    from stapes.session.dispatch import Dispatcher
    from stapes.session.listeners import Listeners

__all__ = ["LoopHub", "Word", "not_taken"]

logger = logging.getLogger("stapes")
# Silent unless the user sets logging up: without any handler, logging prints warnings itself.
logger.addHandler(logging.NullHandler())

Word = tuple[Any, ...]
"""`(kind, ...)`; `_core.WORDS` names the kinds."""

_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopHub] = weakref.WeakKeyDictionary()


class LoopHub:
    """Feeds one event loop with what the sessions on it have to say."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._process = os.getpid()
        self._loop = weakref.ref(loop)
        self._executors: dict[int, ThreadPoolExecutor] = {}
        self._read_fd = -1
        if isinstance(loop, EventLoop):
            self.core = _core.Hub(own=loop._runtime)
            loop._dispatch_by(self.core.answer)
            return
        read_fd, wake_fd = _wake_pair()
        try:
            self.core = _core.Hub((read_fd, wake_fd))
            # In a context of its own: the one of whoever came first is not for all that follow.
            contextvars.Context().run(loop.add_reader, read_fd, self.core.answer)
        except NotImplementedError:
            # Such a loop is woken by a thread, once for each batch as well.
            os.close(read_fd)
            self.core = _core.Hub()
            threading.Thread(
                target=_ring, args=(weakref.ref(self), self.core), name="stapes-hub", daemon=True
            ).start()
        else:
            self._read_fd = read_fd
        finally:
            if wake_fd != read_fd:
                os.close(wake_fd)

    @classmethod
    def current(cls) -> LoopHub:
        """The hub of the running loop."""
        loop = asyncio.get_running_loop()
        hub = _hubs.get(loop)
        if hub is None or hub._process != os.getpid():
            hub = _hubs[loop] = cls(loop)
        return hub

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be dispatched."""
        return self.core.is_idle()

    def register(self, core: _core.Session, dispatcher: Dispatcher, listeners: Listeners) -> None:
        """Delivers the messages of that session; keeps nothing alive but `dispatcher`."""
        self.core.register(core.id, core.cursor, dispatcher, listeners)

    def unregister(self, core: _core.Session) -> None:
        """Delivers no more."""
        self.core.unregister(core.id)

    def executor(self, workers: int) -> ThreadPoolExecutor:
        """Threads for users' synchronous tools: one pool of each size for the loop's sessions."""
        pool = self._executors.get(workers)
        if pool is None:
            pool = ThreadPoolExecutor(workers, thread_name_prefix="stapes-tool")
            self._executors[workers] = pool
            weakref.finalize(self, pool.shutdown, wait=False)
        return pool

    def _answer(self, drained: threading.Event) -> None:
        try:
            self.core.answer()
        finally:
            drained.set()

    def __del__(self) -> None:
        if self._read_fd >= 0 and self._process == os.getpid():
            with contextlib.suppress(OSError):
                os.close(self._read_fd)


def not_taken(error: BaseException) -> None:
    """A session failed with what it was to dispatch; all others have got theirs."""
    logger.error("a session could not take its events", exc_info=error)


def _ring(hub_ref: weakref.ref[LoopHub], core: _core.Hub) -> None:
    """Stands in for the file descriptor, in a thread, as long as hub and loop are there."""
    drained = threading.Event()
    while True:
        rung = core.wait(1.0)
        hub = hub_ref()
        loop = None if hub is None else hub._loop()
        if hub is None or loop is None or loop.is_closed():
            return
        if rung:
            drained.clear()
            try:
                loop.call_soon_threadsafe(hub._answer, drained)
            except RuntimeError:
                return
        del hub, loop
        if rung:
            drained.wait(1.0)


def _wake_pair() -> tuple[int, int]:
    """`(read end, write end)`; the same descriptor where the system has eventfd."""
    if hasattr(os, "eventfd"):
        fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return fd, fd
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    return read_fd, write_fd
