"""The caller's voice on its way in: decoded, without gaps, at the rate of the call's own sound."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler

from stapes.devserver.audio.formats import RATE
from stapes.devserver.session.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc.mediastreams import MediaStreamTrack

    from stapes.devserver.audio.formats import Samples

_PATIENCE_S = 0.4
"""How long nothing may come before it counts as silence: a muted client sends nothing, and one with
discontinuous transmission next to nothing. After a loss, aiortc holds sound back for 0.32 s."""
_STEP_S = 0.1
"""The pieces in which silence goes on."""
_LONGEST_GAP_S = 2.0
"""Loss longer than this is taken for a clock that jumped, and is not filled."""


class Microphone:
    """Reads the incoming track to its end, and gives its sound to `hear`."""

    def __init__(self, track: MediaStreamTrack, hear: Callable[[Samples], None]) -> None:
        self._track = track
        self._hear = hear
        self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        self._heard = 0
        self._offset: int | None = None

    async def listen(self) -> None:
        """Listen until the track ends."""
        loop = asyncio.get_running_loop()
        last, patience = loop.time(), _PATIENCE_S
        while True:
            try:
                async with asyncio.timeout_at(last + patience):
                    frame = await self._track.recv()
            except TimeoutError:
                now = loop.time()
                self._silence(int((now - last) * RATE))
                last, patience = now, _STEP_S
                continue
            except MediaStreamError:
                return
            last, patience = loop.time(), _PATIENCE_S
            if isinstance(frame, AudioFrame):
                self._take(frame)

    def _take(self, frame: AudioFrame) -> None:
        """Fill what was lost before a frame, and hear the frame."""
        assert frame.pts is not None
        position = frame.pts * RATE // frame.sample_rate
        if self._offset is None:
            self._offset = self._heard - position
        missing = position + self._offset - self._heard
        if 0 < missing <= _LONGEST_GAP_S * RATE:
            self._silence(missing)
        frame.pts = None
        for converted in self._resampler.resample(frame):
            self._give(converted.to_ndarray()[0])
        self._offset = self._heard - position - frame.samples * RATE // frame.sample_rate

    def _silence(self, samples: int) -> None:
        self._give(np.zeros(samples, dtype=np.int16))

    def _give(self, samples: Samples) -> None:
        self._heard += len(samples)
        try:
            self._hear(samples)
        except ProtocolError:
            # Without turn detection the buffer is full: nobody has committed it for minutes.
            return
