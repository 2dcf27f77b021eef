"""The asyncio half of the hub: one for each event loop, woken once for each batch."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from stapes import _core
from stapes.daemon_threads import DaemonThreads
from stapes.event_loop import EventLoop

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AudioListeners", "Dispatcher", "LoopHub", "not_taken"]

logger = logging.getLogger("stapes")

_NEVER_S = 1e9
"""A timer for thirty years: it is there for the loop to hold."""

_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopHub] = weakref.WeakKeyDictionary()


class Dispatcher(Protocol):
    """Takes the messages of one session, in order."""

    @property
    def run(self) -> Callable[..., Any]:
        """Calls a function in the session's context."""

    def __call__(self, message: Any, /) -> None:
        """Takes one message."""


class AudioListeners(Protocol):
    """The callbacks and readers of one session that want its sound."""

    @property
    def audio(self) -> tuple[Callable[[Any], Any], ...]:
        """Each gets every `Audio` event."""

    def answered(self, event: Any, result: Any, listener: Any, /) -> None:
        """Takes what a listener returned, where that is not `None`."""

    def failed(self, event: Any, error: BaseException, listener: Any, /) -> None:
        """Takes what a listener raised; raises it on where it is meant for more than that."""


class LoopHub:
    """Delivers to one event loop the messages of all sessions that run on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._process = os.getpid()
        self._loop = weakref.ref(loop)
        self._cores: set[_core.Session] = set()
        self._executors: dict[int, DaemonThreads] = {}
        self._read_fd = -1
        if isinstance(loop, EventLoop):
            self.core = _core.Hub(own=loop.runtime)
            loop.dispatch_with(self.core.answer)
            return
        read_fd, wake_fd = _wake_pair()
        try:
            self.core = _core.Hub((read_fd, wake_fd))
            answer = self.core.answer
            # In an empty context: that of the first session's maker must not serve all sessions.
            contextvars.Context().run(loop.add_reader, read_fd, answer)
            _when_let_go(answer, self)
            del answer
        except NotImplementedError:
            # This loop polls no file descriptors: a thread wakes it, once for each batch as well.
            os.close(read_fd)
            self.core = _core.Hub()
            never = self.core.answer
            contextvars.Context().run(loop.call_later, _NEVER_S, never)
            _when_let_go(never, self)
            del never
            threading.Thread(
                target=_wake, args=(weakref.ref(self), self.core), name="stapes-hub", daemon=True
            ).start()
        else:
            self._read_fd = read_fd
        finally:
            if wake_fd != read_fd:
                os.close(wake_fd)

    @classmethod
    def current(cls) -> LoopHub:
        """The hub of the running loop.

        Raises:
            RuntimeError: none runs.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "a session needs a running event loop: make it in an `async def` that "
                "asyncio.run(...) or stapes.run(...) runs"
            ) from None
        hub = _hubs.get(loop)
        if hub is None or hub.is_of_another_process:
            hub = _hubs[loop] = cls(loop)
        return hub

    @property
    def is_of_another_process(self) -> bool:
        """Whether this process is a fork of the one that made the hub."""
        return self._process != os.getpid()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop, unless it is gone."""
        return self._loop()

    @property
    def is_idle(self) -> bool:
        """Whether no message is queued."""
        return self.core.is_idle()

    def register(
        self, core: _core.Session, dispatcher: Dispatcher, listeners: AudioListeners
    ) -> None:
        """Delivers the messages of that session; keeps nothing alive but `dispatcher`."""
        core.dispatch_to(self.core, dispatcher, listeners)
        self._cores.add(core)

    def unregister(self, core: _core.Session) -> None:
        """Delivers nothing more of that session."""
        self.core.unregister(core.id)
        self._cores.discard(core)

    def executor(self, workers: int) -> DaemonThreads:
        """Threads for users' synchronous tools: one pool of each size for the loop's sessions."""
        pool = self._executors.get(workers)
        if pool is None:
            pool = DaemonThreads(workers, "stapes-tool")
            self._executors[workers] = pool
            weakref.finalize(self, pool.shutdown)
        return pool

    def close_sessions(self) -> None:
        """Closes the connections that stand, because the loop is closed."""
        if self.is_of_another_process:
            return
        still_open = [core for core in self._cores if core.status != "disconnected"]
        for core in still_open:
            core.close(1000, "")
        if still_open:
            logger.warning(
                "the event loop was closed while %d of its sessions were connected: they are "
                "closed now. Close them before, or use `async with session`",
                len(still_open),
            )

    def drain(self, drained: threading.Event) -> None:
        """Dispatches what is queued, and sets `drained`."""
        try:
            self.core.answer()
        finally:
            drained.set()

    def __del__(self) -> None:
        if self._read_fd >= 0 and not self.is_of_another_process:
            with contextlib.suppress(OSError):
                os.close(self._read_fd)


def not_taken(error: BaseException) -> None:
    """Logs that a session could not dispatch its messages; the others have dispatched theirs."""
    logger.error("a session could not take its events", exc_info=error)


def _when_let_go(held: Callable[[], None], hub: LoopHub) -> None:
    """Closes the hub's sessions when its loop, which alone holds `held`, is closed.

    A loop lets go what it holds when it is closed: nothing else tells of that.
    """
    closed = weakref.finalize(held, _close_sessions, weakref.ref(hub))
    closed.atexit = False


def _close_sessions(hub_ref: weakref.ref[LoopHub]) -> None:
    if (hub := hub_ref()) is not None:
        hub.close_sessions()


def _wake(hub_ref: weakref.ref[LoopHub], core: _core.Hub) -> None:
    """Wakes the loop from a thread, in place of the file descriptor, until hub or loop is gone."""
    drained = threading.Event()
    while True:
        is_queued = core.wait(1.0)
        hub = hub_ref()
        loop = None if hub is None else hub.loop
        if hub is None or loop is None or loop.is_closed():
            _close_sessions(hub_ref)
            return
        if is_queued:
            drained.clear()
            try:
                loop.call_soon_threadsafe(hub.drain, drained)
            except RuntimeError:
                return
        del hub, loop
        if is_queued:
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
