"""Waits for room for the user's sound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from stapes.errors import NotConnectedError

if TYPE_CHECKING:
    from stapes import _core

__all__ = ["Room"]


class Room:
    """Those who wait while too much is waiting to be sent over one connection."""

    __slots__ = ("_core", "_waiters")

    def __init__(self, core: _core.Session) -> None:
        self._core = core
        self._waiters: tuple[asyncio.Future[None], ...] = ()

    async def wait(self) -> None:
        """Waits until there is room.

        Raises:
            stapes.NotConnectedError: the connection was lost for good meanwhile.
        """
        loop = asyncio.get_running_loop()
        while self._core.is_congested():
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters = (*self._waiters, waiter)
            # It may have drained before the waiter was there to be told.
            if not self._core.is_congested():
                break
            await waiter
        if not self._core.is_standing:
            raise NotConnectedError("the connection was lost while audio waited to be sent")

    def drained(self) -> None:
        """Wakes those who wait: there is room, or the connection is over."""
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
