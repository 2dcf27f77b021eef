"""Those who wait until nothing is left to play."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from stapes.session.scope import Scope

__all__ = ["PlaybackWaiters"]


class PlaybackWaiters:
    """The waiters of one session for the end of playback. The core knows when that is.

    Used on the session's loop.
    """

    __slots__ = ("_number", "_scope", "_waiting")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._number = 0
        self._waiting: dict[int, asyncio.Future[bool]] = {}

    async def wait(self) -> bool:
        """Waits; whether everything that played meanwhile was heard to its end."""
        core = self._scope.core
        self._number += 1
        token = self._number
        waiter: asyncio.Future[bool] = self._scope.loop.create_future()
        self._waiting[token] = waiter
        try:
            core.when_played(token)
            return await waiter
        finally:
            if self._waiting.pop(token, None) is not None:
                # The wait was cancelled. The core of a forked process refuses to be told.
                with suppress(RuntimeError):
                    core.forget_played(token)

    def played(self, token: int, heard: bool) -> None:
        """Wakes the waiter of that token."""
        waiter = self._waiting.pop(token, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(heard)
