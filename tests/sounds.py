"""Sounds that are found again in what a telephone made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stapes.audio import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["at_rate", "correlation", "found", "speech"]


def speech(seconds: float, rate: int, seed: int) -> NDArray[np.int16]:
    """Noise in the telephone's band that swells as speech does, another one for each seed."""
    count = int(seconds * rate)
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    spectrum[(frequencies < 250) | (frequencies > 3200)] = 0
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * np.arange(count) / rate + seed)
    sound = np.fft.irfft(spectrum, count) * swell
    return (sound / np.abs(sound).max() * 9000).astype(np.int16)


def at_rate(sound: NDArray[np.int16], rate: int, wanted: int) -> NDArray[np.int16]:
    """The same sound at another rate."""
    if rate == wanted:
        return sound
    resampler = Resampler(rate, wanted)
    return np.frombuffer(resampler.process(sound) + resampler.flush(), np.int16)


def correlation(part: NDArray[Any], whole: NDArray[Any]) -> float:
    """How alike a sound is to the place in another one where it fits best: 1 where equal."""
    if len(whole) < len(part):
        whole = np.pad(whole, (0, len(part) - len(whole)))
    wanted, heard = part.astype(float), whole.astype(float)
    size = 1 << (len(wanted) + len(heard)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wanted, size))
    places = len(heard) - len(wanted) + 1
    alike = np.fft.irfft(spectrum, size)[:places]
    sums = np.concatenate([[0.0], np.cumsum(heard**2)])
    power = np.sqrt((sums[len(wanted) :] - sums[:places]) * (wanted**2).sum())
    loud = power > power.max() * 0.05
    return float((alike[loud] / power[loud]).max(initial=0.0))


def found(part: NDArray[np.int16], whole: NDArray[np.int16], rate: int) -> float:
    """The share of a sound, by fifths of a second, that is in another one with hardly a difference.

    What records a call drops a frame now and then; each piece is aligned by itself.
    """
    size = rate // 5
    pieces = [part[at : at + size] for at in range(0, len(part) - size + 1, size)]
    return sum(correlation(piece, whole) > 0.95 for piece in pieces) / len(pieces)
