"""SIGTERM and SIGINT as events of the running loop."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

__all__ = ["StopSignals", "first_of"]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Sets `stop` at the first signal and `at_once` at the second, while its context is open.

    Only the main thread gets signals: in another one it does nothing.
    """

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            loop = asyncio.get_running_loop()
            for number in _SIGNALS:
                self._before[number] = signal.getsignal(number)
                try:
                    loop.add_signal_handler(number, self._signalled)
                except NotImplementedError:
                    self._handle_with_python(loop, number)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        for number, before in self._before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            # The loop leaves the default there, and asyncio's runner has a handler of its own.
            if before is not None:
                signal.signal(number, before)

    def _handle_with_python(self, loop: asyncio.AbstractEventLoop, number: signal.Signals) -> None:
        """Handles a signal where the loop does not, as on Windows."""
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._signalled))

    def _signalled(self) -> None:
        (self.at_once if self.stop.is_set() else self.stop).set()


async def first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Waits until one is done, and cancels the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
