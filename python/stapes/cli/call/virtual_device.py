"""A sound device without hardware: a microphone that is told what to say, by the loop's clock."""

from __future__ import annotations

import asyncio
from collections import deque

from stapes.cli.call.device import FRAME_MS, Exchange, frame_bytes


class VirtualDevice:
    """Runs a call in real time; the microphone hears silence, and what is said into it.

    Args:
        microphone_rate: samples per second of what is said.
        loudspeaker_rate: samples per second of what is heard.
    """

    def __init__(self, microphone_rate: int, loudspeaker_rate: int = 24_000) -> None:
        self._microphone_rate = microphone_rate
        self._loudspeaker_rate = loudspeaker_rate
        self._waiting: deque[tuple[memoryview, asyncio.Event]] = deque()

    @property
    def microphone_rate(self) -> int:
        """Samples per second of what is said."""
        return self._microphone_rate

    @property
    def loudspeaker_rate(self) -> int:
        """Samples per second of what is heard."""
        return self._loudspeaker_rate

    async def say(self, pcm: bytes) -> None:
        """Say PCM16 mono into the microphone; return when it has been said."""
        said = asyncio.Event()
        self._waiting.append((memoryview(pcm), said))
        await said.wait()

    async def run(self, exchange: Exchange) -> None:
        """Exchange a frame every `FRAME_MS`, by deadlines so that no delay adds up."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            exchange(self._microphone(frame_bytes(self._microphone_rate)))
            due += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _microphone(self, size: int) -> bytes:
        frame = bytearray()
        while self._waiting and len(frame) < size:
            pcm, said = self._waiting.popleft()
            missing = size - len(frame)
            frame += pcm[:missing]
            if rest := pcm[missing:]:
                self._waiting.appendleft((rest, said))
            else:
                said.set()
        return bytes(frame) + bytes(size - len(frame))
