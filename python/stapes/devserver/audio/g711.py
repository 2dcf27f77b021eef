"""G.711: mu-law and A-law companding of 16 bit PCM (ITU-T Recommendation G.711)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

_MU_BIAS = 132
"""33 of the 14 bit law, on the scale of 16 bit samples."""
_MU_CLIP = 32_635
_A_SEGMENT_ENDS = np.array([0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF], dtype=np.int32)
"""Last magnitude of each A-law segment but the last, on the 13 bit scale."""


def encode_mu_law(samples: Samples) -> bytes:
    """Compand PCM16 samples, one byte each; digital silence becomes 0xFF."""
    wide = samples.astype(np.int32)
    sign = np.where(wide < 0, 0x80, 0)
    magnitude = np.minimum(np.abs(wide), _MU_CLIP) + _MU_BIAS
    exponent = np.frexp(magnitude.astype(np.float64))[1] - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    codes = ~(sign | (exponent << 4) | mantissa) & 0xFF
    return bytes(codes.astype(np.uint8))


def encode_a_law(samples: Samples) -> bytes:
    """Compand PCM16 samples, one byte each; digital silence becomes 0xD5."""
    wide = samples.astype(np.int32) >> 3
    mask = np.where(wide >= 0, 0xD5, 0x55)
    magnitude = np.where(wide >= 0, wide, -wide - 1)
    segment = np.searchsorted(_A_SEGMENT_ENDS, magnitude)
    mantissa = (magnitude >> np.maximum(segment, 1)) & 0x0F
    return bytes((((segment << 4) | mantissa) ^ mask).astype(np.uint8))


def _mu_law_levels() -> Samples:
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 0x07, code & 0x0F
    magnitude = (((mantissa << 3) + _MU_BIAS) << exponent) - _MU_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _a_law_levels() -> Samples:
    code = np.arange(256) ^ 0x55
    segment, mantissa = (code >> 4) & 0x07, code & 0x0F
    low = (mantissa << 4) + 8
    magnitude = np.where(segment == 0, low, (low + 0x100) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


_MU_LAW_LEVELS = _mu_law_levels()
_A_LAW_LEVELS = _a_law_levels()


def decode_mu_law(data: bytes) -> Samples:
    """Expand mu-law bytes to PCM16 samples."""
    return _MU_LAW_LEVELS[np.frombuffer(data, dtype=np.uint8)]


def decode_a_law(data: bytes) -> Samples:
    """Expand A-law bytes to PCM16 samples."""
    return _A_LAW_LEVELS[np.frombuffer(data, dtype=np.uint8)]
