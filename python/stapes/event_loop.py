"""An event loop whose thread carries its sessions too: one thread for all calls of a process."""

from __future__ import annotations

import asyncio
import os
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

from stapes import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["EventLoop", "run"]

T = TypeVar("T")


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop, which also runs the network I/O of its sessions.

    On any other loop, Rust threads run the sessions' I/O, on another CPU core where there is one.
    With a single CPU core those threads compete with the loop's: here one thread does all of it at
    a lower cost, and what arrives reaches your code sooner. In return nothing is sent or received
    while your code blocks the loop.

    Make it like any other loop: `asyncio.Runner(loop_factory=stapes.EventLoop)`. A signal without a
    handler of the loop's own (`add_signal_handler`) is seen within a fifth of a second.
    """

    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)

    @property
    def runtime(self) -> _core.LoopRuntime:
        """Runs the I/O of the loop's sessions."""
        return self._waits.runtime

    def dispatch_with(self, answer: Callable[[], None]) -> None:
        """Calls `answer` when messages of its sessions are queued."""
        self._waits.answer = answer


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Runs a coroutine as `asyncio.run` does, on an `EventLoop`.

    Args:
        main: what to run.
        debug: asyncio's debug mode; by default as the environment says.

    Returns:
        What it returns.

    Raises:
        RuntimeError: an event loop runs in this thread already.
    """
    with asyncio.Runner(debug=debug, loop_factory=EventLoop) as runner:
        return runner.run(main)


class _Selector(selectors.DefaultSelector):
    """Waits inside the runtime, which also polls the selector's own file descriptor."""

    def __init__(self) -> None:
        super().__init__()
        self._process = os.getpid()
        self.runtime = _core.LoopRuntime(self.fileno())
        self.answer: Callable[[], None] = _nothing

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        try:
            is_ready, is_told = self.runtime.turn(timeout)
        except RuntimeError:
            if os.getpid() == self._process:
                raise
            # A child of a fork, which ends: its parent alone runs sessions here.
            return super().select(timeout)
        if is_told:
            self.answer()
        return super().select(0) if is_ready else []

    def close(self) -> None:
        self.runtime.close()
        super().close()


def _nothing() -> None:
    """There are no sessions yet, so there is nothing to dispatch."""
