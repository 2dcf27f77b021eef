"""What users' code raised: what of it is a failure to report, and what ends more than that."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

from stapes.cancellation import ends_more
from stapes.errors import StapesError
from stapes.events import Error

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stapes.session.local_events import LocalEvents

__all__ = ["as_failure", "ends_more", "report_failure", "uncancelled"]

logger = logging.getLogger("stapes")

T = TypeVar("T")


def as_failure(error: BaseException, where: str) -> BaseException:
    """The error as it is reported: who raises a `CancelledError` on would cancel himself."""
    if not isinstance(error, asyncio.CancelledError):
        return error
    said = f" ({error})" if str(error) else ""
    failure = StapesError(
        f"{where} raised asyncio.CancelledError{said}, though nobody cancelled it: "
        "has something ended that it was waiting for, such as a connection of its own?"
    )
    failure.__cause__ = error
    return failure


def report_failure(local_events: LocalEvents, error: BaseException, where: str) -> None:
    """Logs what users' code raised, with its traceback, and makes an `error` event of it."""
    logger.error("%s failed", where, exc_info=error)
    local_events.emit(Error(as_failure(error, where), context=where))


async def uncancelled(work: Awaitable[T], where: str) -> T:
    """Awaits users' code; a cancellation that nobody asked for must not cancel who waits."""
    try:
        return await work
    except asyncio.CancelledError as error:
        if ends_more(error):
            raise
        raise as_failure(error, where) from error
