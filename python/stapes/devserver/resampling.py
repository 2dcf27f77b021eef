"""Sample rate conversion of whole utterances for the development server's speech.

The client's streaming resampler lives in the Rust core and is not used here, so that a mistake in
it cannot hide by being made on both ends.
"""

from __future__ import annotations

from functools import cache
from math import gcd
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ZERO_CROSSINGS = 16
"""Half the length of the filter, in periods of the lower of the two rates."""
_KAISER_BETA = 8.0
"""About 80 dB of stop band (Kaiser's formula), well below what 16 bits of speech let through."""
_ROLL_OFF = 0.94
"""Share of the band below Nyquist that passes; the rest is the filter's transition."""


def resample(samples: NDArray[np.float32], source: int, target: int) -> NDArray[np.float32]:
    """Convert mono `samples` from `source` to `target` Hz, without delay.

    A polyphase windowed-sinc filter. The result has `ceil(len * target / source)` samples.

    Raises:
        ValueError: a rate is not positive.
    """
    if source <= 0 or target <= 0:
        raise ValueError(f"sample rates must be positive, not {source} and {target} Hz")
    if source == target or len(samples) == 0:
        return samples.astype(np.float32, copy=True)
    up, down = target // gcd(source, target), source // gcd(source, target)
    filters = _phases(up, down)
    taps = filters.shape[1]
    length = -(-len(samples) * up // down)
    position = np.arange(length, dtype=np.int64) * down
    padded = np.pad(samples.astype(np.float32, copy=False), (taps // 2 - 1, taps))
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    converted: NDArray[np.float32] = np.einsum(
        "ij,ij->i", windows[position // up], filters[position % up], dtype=np.float32
    )
    return converted


@cache
def _phases(up: int, down: int) -> NDArray[np.float32]:
    """Build one filter for each of the `up` positions between two input samples."""
    cutoff = _ROLL_OFF * min(1.0, up / down)
    half = int(np.ceil(_ZERO_CROSSINGS / cutoff))
    offsets = np.arange(-half + 1, half + 1)[None, :] - (np.arange(up) / up)[:, None]
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (offsets / half) ** 2, 0, None)))
    filters = cutoff * np.sinc(cutoff * offsets) * window
    filters /= filters.sum(axis=1, keepdims=True)
    return filters.astype(np.float32)
