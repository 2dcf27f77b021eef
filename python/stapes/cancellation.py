"""Which exceptions are meant for more than the code that raised them."""

from __future__ import annotations

import asyncio

__all__ = ["ends_more"]


def ends_more(error: BaseException) -> bool:
    """Whether an exception is meant for more than the code that raised it, and must go on.

    It ends the process, or a coroutine that is being closed, or the task that runs is being
    cancelled. A `CancelledError` of another origin is a failure like any: a client library raises
    it where its own connection has ended.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return True
    if not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
