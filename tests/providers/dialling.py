"""Attempts to connect again that wait for more than the server's first event."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.talk import Talk


async def dials(talk: Talk, seconds: float = 5) -> None:
    """Time passes until the next attempt, which stands."""
    made = len(talk.server.handshakes)
    talk.clock.advance(seconds)
    async with asyncio.timeout(10):
        while len(talk.server.handshakes) == made or not talk.server.is_connected:
            await asyncio.sleep(0.001)
