"""An event loop whose thread carries its sessions too: one thread for all calls of a process."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar

from stapes import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["EventLoop", "run"]

T = TypeVar("T")


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop, which also does the network's side of the sessions that run on it.

    On any other loop sessions are carried by threads of their own, which another core may run.
    Where a process has one core they only take it from each other: here one thread does the same
    for less, and what has come over the network reaches your code sooner. In return nothing is
    sent or received while your code keeps the loop.

    It is made like any other: `asyncio.Runner(loop_factory=stapes.EventLoop)`. Signals that have
    no handler of the loop's (`add_signal_handler`) are seen within a fifth of a second.
    """

    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)

    @property
    def _runtime(self) -> _core.LoopRuntime:
        """What it carries its sessions with."""
        return self._waits.runtime

    def _dispatch_by(self, answer: Callable[[], None]) -> None:
        """Has what its sessions say dispatched by that."""
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
    """Waits inside the runtime, which waits for the selector's own descriptor too."""

    def __init__(self) -> None:
        super().__init__()
        self.runtime = _core.LoopRuntime(self.fileno())
        self.answer: Callable[[], None] = _nothing

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        is_ready, is_told = self.runtime.turn(timeout)
        if is_told:
            self.answer()
        return super().select(0) if is_ready else []

    def close(self) -> None:
        self.runtime.close()
        super().close()


def _nothing() -> None:
    """Nothing is said while there are no sessions."""
