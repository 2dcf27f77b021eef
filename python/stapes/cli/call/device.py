"""What a call needs of a sound device, real or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

FRAME_MS: Final = 20
"""Milliseconds of sound that are exchanged at a time."""

Exchange: TypeAlias = Callable[[bytes], bytes]
"""Takes a frame of the microphone and gives one for the loudspeaker, both PCM16 mono."""


class SoundDeviceError(Exception):
    """There is no usable sound device. The message says why and what to do."""


class SoundDevice(Protocol):
    """A microphone and a loudspeaker that run by one clock."""

    @property
    def microphone_rate(self) -> int:
        """Samples per second of what the microphone gives."""
        ...

    @property
    def loudspeaker_rate(self) -> int:
        """Samples per second of what the loudspeaker takes."""
        ...

    async def run(self, exchange: Exchange) -> None:
        """Call `exchange` every `FRAME_MS`, from any thread, until cancelled.

        Raises:
            SoundDeviceError: the device cannot be opened, or is lost.
        """
        ...


def frame_bytes(rate: int) -> int:
    """Return how many bytes a frame of PCM16 mono has."""
    return rate * FRAME_MS // 1000 * 2
