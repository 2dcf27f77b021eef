"""Sound on its own: resampling, G.711, Opus, levels, base64, WAV files.

Everything here works without the session layer. Sound goes in as bytes-like 16-bit little-endian
PCM or as a numpy array of int16 or float32 (-1.0 to 1.0), and comes out as `bytes` or, on request,
as a numpy array.
"""

from __future__ import annotations

from stapes._core.audio import (
    Level,
    LevelMeter,
    OpusDecoder,
    OpusEncoder,
    Recording,
    Resampler,
    alaw_decode,
    alaw_encode,
    base64_decode,
    base64_encode,
    level,
    mulaw_decode,
    mulaw_encode,
)
from stapes.audio.wav import read_wav, write_wav

__all__ = [
    "Level",
    "LevelMeter",
    "OpusDecoder",
    "OpusEncoder",
    "Recording",
    "Resampler",
    "alaw_decode",
    "alaw_encode",
    "base64_decode",
    "base64_encode",
    "level",
    "mulaw_decode",
    "mulaw_encode",
    "read_wav",
    "write_wav",
]
