"""The server's voice on its way out: taken from the call and sent as fast as it plays."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import TYPE_CHECKING

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from stapes.devserver.audio.formats import RATE

if TYPE_CHECKING:
    from stapes.devserver.session.output_audio import OutputAudio

_FRAME_MS = 20
_FRAME_SAMPLES = RATE * _FRAME_MS // 1000
_TIME_BASE = Fraction(1, RATE)
_LATEST_S = 0.5
"""A server that was held up for longer than this goes on from where it is: what it missed is not
sent in one burst."""


class Speaker(MediaStreamTrack):
    """The outgoing track: what the call says, and silence where it says nothing."""

    kind = "audio"

    def __init__(self, output: OutputAudio) -> None:
        super().__init__()
        self._output = output
        self._sent = 0
        self._began: float | None = None
        self._flows = asyncio.Event()
        self._flows.set()

    def hold(self, held: bool) -> None:
        """Send no sound at all while held; what there is waits."""
        if held:
            self._flows.clear()
        else:
            self._flows.set()

    async def recv(self) -> AudioFrame:
        """Return the next frame when it is due."""
        if self.readyState != "live":
            raise MediaStreamError
        await self._flows.wait()
        await self._due()
        pcm = self._output.take(2 * _FRAME_SAMPLES)
        frame = AudioFrame(format="s16", layout="mono", samples=_FRAME_SAMPLES)
        frame.planes[0].update(pcm.ljust(2 * _FRAME_SAMPLES, b"\0"))
        frame.sample_rate = RATE
        frame.time_base = _TIME_BASE
        frame.pts = self._sent
        self._sent += _FRAME_SAMPLES
        return frame

    async def _due(self) -> None:
        """Wait by deadlines, so that no error adds up."""
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        wait = self._began + self._sent / RATE - now
        if wait < -_LATEST_S:
            self._began -= wait
        elif wait > 0:
            await asyncio.sleep(wait)
