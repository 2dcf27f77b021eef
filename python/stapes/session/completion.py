"""What a command returns: it has taken effect already, and can be awaited for its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

__all__ = ["Completion", "done"]

T = TypeVar("T", covariant=True)


class Completion(Generic[T]):
    """An awaitable for the end of a command.

    It need not be awaited: the failure of a command that nobody awaits is reported as an `error`
    event.
    """

    __slots__ = ("_awaited", "_error", "_future", "_report", "_value", "_wait")

    def __init__(
        self,
        value: T | None = None,
        *,
        error: BaseException | None = None,
        future: asyncio.Future[T] | None = None,
        report: Callable[[BaseException], None] | None = None,
        wait: Callable[[], Coroutine[Any, Any, T]] | None = None,
    ) -> None:
        self._value = value
        self._error = error
        self._future = future
        self._report = report
        self._wait = wait
        self._awaited = False

    def __await__(self) -> Generator[Any, None, T]:
        self._awaited = True
        if self._error is not None:
            raise self._error
        if self._future is not None:
            return (yield from asyncio.shield(self._future).__await__())
        if self._wait is not None:
            return (yield from self._wait().__await__())
        return self._value  # type: ignore[return-value]

    def __del__(self) -> None:
        report = self._report
        if self._awaited or report is None:
            return
        if self._error is not None:
            report(self._error)
        elif self._future is not None:
            self._future.add_done_callback(_Reporter(report))

    def __repr__(self) -> str:
        if self._error is not None:
            return f"<Completion failed: {self._error!r}>"
        if self._future is not None and not self._future.done():
            return "<Completion under way>"
        return "<Completion>"


class _Reporter:
    """Reports the failure of a future that nobody awaits."""

    __slots__ = ("_report",)

    def __init__(self, report: Callable[[BaseException], None]) -> None:
        self._report = report

    def __call__(self, future: asyncio.Future[Any]) -> None:
        if not future.cancelled() and (error := future.exception()) is not None:
            self._report(error)


_DONE: Completion[None] = Completion()


def done() -> Completion[None]:
    """The completion of what is complete."""
    return _DONE
