"""The microphone of a peer of aiortc."""

from __future__ import annotations

import asyncio
from fractions import Fraction

from aiortc.mediastreams import MediaStreamTrack
from av import AudioFrame

__all__ = ["FRAME", "RATE", "MicrophoneTrack"]

RATE = 24_000
FRAME = RATE // 50


class MicrophoneTrack(MediaStreamTrack):
    """A track in real time: what it was told to say, and silence."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()
        self._sent = 0
        self._begun: float | None = None

    def say(self, pcm: bytes) -> None:
        self._waiting += pcm

    async def recv(self) -> AudioFrame:
        now = asyncio.get_running_loop().time()
        self._begun = self._begun or now
        await asyncio.sleep(self._begun + self._sent / RATE - now)
        pcm = bytes(self._waiting[: 2 * FRAME]).ljust(2 * FRAME, b"\0")
        del self._waiting[: 2 * FRAME]
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._sent
        self._sent += FRAME
        return frame
