"""The awaitable that a command returns: the command has taken effect, and may take time to end."""

from __future__ import annotations

import asyncio
import concurrent.futures
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = ["Completion", "done"]

T = TypeVar("T", covariant=True)


class Completion(Generic[T]):
    """An awaitable for the end of a command.

    Awaiting it is optional: where nobody does, or whoever does gives up before the end, a failure
    becomes an `error` event.

    Args:
        error: the command has failed.
        future: is done when the command has ended.
        report: gets a failure that nobody awaits, in any thread.
        wait: what to await in place of a future; called when somebody does.
        keeps: is kept alive as long as the completion.
    """

    __slots__ = ("_error", "_future", "_is_told", "_keeps", "_report", "_wait", "_waiting")

    def __init__(
        self,
        *,
        error: BaseException | None = None,
        future: asyncio.Future[T] | concurrent.futures.Future[T] | None = None,
        report: Callable[[BaseException], None] | None = None,
        wait: Callable[[], Coroutine[Any, Any, T]] | None = None,
        keeps: object = None,
    ) -> None:
        self._keeps = keeps
        self._error = error
        self._future = future
        self._report = report
        self._wait = wait
        self._is_told = False
        self._waiting = 0

    def __await__(self) -> Generator[Any, None, T]:
        if self._error is not None:
            self._is_told = True
            raise self._error
        if (command := self._future) is not None:
            if isinstance(command, concurrent.futures.Future):
                future = asyncio.wrap_future(command)
            else:
                future = command
            self._waiting += 1
            try:
                result = yield from _end_of(future).__await__()
            except (asyncio.CancelledError, GeneratorExit):
                self._waiting -= 1
                # The wait was given up: how the command ends is to be told all the same.
                if self._report is not None:
                    _watch(command, self._tell)
                raise
            except BaseException:
                self._waiting -= 1
                self._is_told = True
                raise
            self._waiting -= 1
            self._is_told = True
            return result
        if self._wait is not None:
            return (yield from self._wait().__await__())
        return None  # type: ignore[return-value]

    def _tell(self, future: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
        """Reports a failure, unless somebody else waits for it still."""
        if self._report is not None and not self._waiting and not self._is_told:
            self._is_told = True
            _Reporter(self._report)(future)

    def __del__(self) -> None:
        report = self._report
        if self._is_told or report is None:
            return
        if self._error is not None:
            report(self._error)
        elif self._future is not None:
            _watch(self._future, _Reporter(report))

    def __repr__(self) -> str:
        if self._error is not None:
            return f"<Completion failed: {self._error!r}>"
        if self._future is not None and not self._future.done():
            return "<Completion under way>"
        return "<Completion>"


class _Reporter:
    """A done callback that reports the failure of a future."""

    __slots__ = ("_report",)

    def __init__(self, report: Callable[[BaseException], None]) -> None:
        self._report = report

    def __call__(self, future: asyncio.Future[Any] | concurrent.futures.Future[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._report(error)


async def _end_of(future: asyncio.Future[T]) -> T:
    """The result of a future, which goes on where the wait for it is given up.

    `asyncio.shield` logs a failure that comes after that, from CPython 3.14 on.
    """
    try:
        await asyncio.wait([future])
    except BaseException:
        future.add_done_callback(_take_note)
        raise
    return future.result()


def _take_note(future: asyncio.Future[Any]) -> None:
    """Asks for a failure, which the loop would log otherwise."""
    if not future.cancelled():
        future.exception()


def _watch(
    future: asyncio.Future[T] | concurrent.futures.Future[T],
    reporter: Callable[[asyncio.Future[Any] | concurrent.futures.Future[Any]], None],
) -> None:
    """Calls `reporter` when the future is done; the collector may run this in any thread."""
    if future.done():
        reporter(future)
    elif isinstance(future, concurrent.futures.Future):
        future.add_done_callback(reporter)
    else:
        # A command whose loop has been closed does not end any more.
        with suppress(RuntimeError):
            future.get_loop().call_soon_threadsafe(future.add_done_callback, reporter)


_DONE: Completion[None] = Completion()


def done() -> Completion[None]:
    """The completion of a command that has ended."""
    return _DONE
