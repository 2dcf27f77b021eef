"""Sample rate conversion for the development server's speech: of whole utterances, and of streams.

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


class Resampler:
    """Converts a stream, piece by piece, to the samples that `resample` gives of the whole.

    What it gives is half a filter late: `flush` gives the rest, and begins anew.

    Raises:
        ValueError: a rate is not positive.
    """

    def __init__(self, source: int, target: int) -> None:
        if source <= 0 or target <= 0:
            raise ValueError(f"sample rates must be positive, not {source} and {target} Hz")
        self._up, self._down = target // gcd(source, target), source // gcd(source, target)
        self._filters = _phases(self._up, self._down)
        self._half: int = self._filters.shape[1] // 2
        self._held = np.zeros(0, dtype=np.float32)
        self._dropped = self._received = self._given = 0
        self._begin()

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take the next samples and return what can be told by now."""
        self._held = np.concatenate((self._held, samples.astype(np.float32)))
        self._received += len(samples)
        # A sample is told once all that its filter reaches has come.
        known = max(0, self._received - self._half)
        return self._give(-(-known * self._up // self._down))

    def flush(self) -> NDArray[np.int16]:
        """Return the rest, as if silence followed."""
        self._held = np.pad(self._held, (0, 2 * self._half))
        rest = self._give(-(-self._received * self._up // self._down))
        self._begin()
        return rest

    def _begin(self) -> None:
        """Wait for a first sample, with silence before it."""
        self._held = np.zeros(self._half - 1, dtype=np.float32)
        self._dropped = self._received = self._given = 0

    def _give(self, end: int) -> NDArray[np.int16]:
        """Return the samples from the last given one up to `end`."""
        position = np.arange(self._given, end, dtype=np.int64) * self._down
        if not len(position):
            return np.zeros(0, dtype=np.int16)
        windows = np.lib.stride_tricks.sliding_window_view(self._held, 2 * self._half)
        first = position // self._up - self._dropped
        given = np.einsum("ij,ij->i", windows[first], self._filters[position % self._up])
        self._given = end
        behind = end * self._down // self._up - self._dropped
        if behind > 0:
            self._held = self._held[behind:].copy()
            self._dropped += behind
        converted: NDArray[np.int16] = np.clip(np.rint(given), -32_768, 32_767).astype(np.int16)
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
