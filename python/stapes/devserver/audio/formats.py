"""The audio formats of the protocol, and the way between them and the server's own PCM.

Inside the server sound is PCM16 little endian mono at 24,000 Hz, except in an input buffer, which
keeps samples at the rate they came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stapes.devserver.audio import g711
from stapes.devserver.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Mapping

Samples = NDArray[np.int16]

RATE = 24_000
"""Samples a second of the server's own PCM."""
BYTES_PER_MS = RATE * 2 // 1000


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One wire format: its name, samples a second and bytes a sample."""

    name: str
    rate: int
    sample_bytes: int

    @classmethod
    def of(cls, wire: Mapping[str, Any]) -> AudioFormat:
        """Return the format of a validated `format` object of a session."""
        return FORMATS[wire["type"]]

    def decode(self, data: bytes) -> Samples:
        """Return the samples of `data`, at this format's rate.

        Raises:
            ValueError: `data` does not hold a whole number of samples.
        """
        match self.name:
            case "audio/pcmu":
                return g711.decode_mu_law(data)
            case "audio/pcma":
                return g711.decode_a_law(data)
        if len(data) % self.sample_bytes:
            raise ValueError(f"{len(data)} bytes are not a whole number of 16 bit samples")
        return np.frombuffer(data, dtype="<i2").astype(np.int16)

    def encode(self, pcm: bytes) -> bytes:
        """Return the server's PCM in this format."""
        if self.name == "audio/pcm":
            return pcm
        samples = convert(np.frombuffer(pcm, dtype="<i2").astype(np.int16), RATE, self.rate)
        if self.name == "audio/pcmu":
            return g711.encode_mu_law(samples)
        return g711.encode_a_law(samples)


PCM = AudioFormat("audio/pcm", RATE, 2)
"""The server's own."""
FORMATS = {
    format_.name: format_
    for format_ in (
        PCM,
        AudioFormat("audio/pcmu", 8_000, 1),
        AudioFormat("audio/pcma", 8_000, 1),
    )
}


def convert(samples: Samples, source: int, target: int) -> Samples:
    """Change the rate of one whole utterance."""
    if source == target:
        return samples
    changed = resample(samples.astype(np.float32), source, target)
    return np.clip(np.rint(changed), -32_768, 32_767).astype(np.int16)


def to_pcm(samples: Samples, rate: int) -> bytes:
    """Return samples of any rate as the server's PCM."""
    return convert(samples, rate, RATE).astype("<i2").tobytes()
