"""What a call has to send: one queue, in the one order of the call."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Close:
    """Ends the connection once all before it is sent."""

    code: int
    reason: str


Outgoing = str | bytes | Close


class Outbox:
    """Frames that wait to be sent. Putting never waits; who produces many waits for `room`."""

    def __init__(self, *, high_water: int) -> None:
        self._high_water = high_water
        self._waiting: deque[Outgoing] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = False

    def put(self, frame: Outgoing) -> None:
        """Queue a frame; after `close` it is dropped."""
        if self._closed:
            return
        self._waiting.append(frame)
        self._filled.set()
        if len(self._waiting) >= self._high_water:
            self._room.clear()

    async def take(self) -> Outgoing:
        """Return the next frame, once there is one."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        frame = self._waiting.popleft()
        if len(self._waiting) < self._high_water:
            self._room.set()
        return frame

    async def room(self) -> None:
        """Wait while a slow client leaves too much unread."""
        await self._room.wait()

    def close(self) -> None:
        """Take no more: nobody is there to read."""
        self._closed = True
        self._waiting.clear()
        self._room.set()
