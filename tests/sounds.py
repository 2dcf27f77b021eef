"""Sounds that are found again in what a telephone made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from stapes.audio import Resampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = [
    "at_rate",
    "correlation",
    "found",
    "gaps",
    "likeness",
    "pieces_alike",
    "silenced",
    "speech",
]

_LOUD = 500
"""The least loudness (RMS, PCM16) of what is compared."""


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


def likeness(sent: NDArray[Any], heard: NDArray[Any], rate: int = 24_000) -> float:
    """How alike two sounds are where they are least so, half a second at a time.

    A jitter buffer plays a little faster or slower between them as it sees fit: each piece is
    compared where it fits best, near where it belongs. A gap fits nowhere.
    """
    return min(pieces_alike(sent, heard, rate // 2, rate), default=1.0)


def pieces_alike(
    sent: NDArray[Any], heard: NDArray[Any], size: int, rate: int = 24_000
) -> list[float]:
    """How alike the pieces of a sound are to what was heard, each looked for near the one before.

    Args:
        sent: PCM16.
        heard: where they are looked for.
        size: of a piece, in samples.
        rate: of both.
    """
    return [alike for _, _, alike in _placed(sent, heard, size, rate)]


def silenced(sent: NDArray[Any], heard: NDArray[Any], rate: int = 24_000) -> int:
    """How many fiftieths of a second of a sound are silent where it was heard, and loud in it."""
    frame, count = rate // 50, 0
    size = 4 * frame
    for start, place, _ in _placed(sent, heard, size, rate):
        for at in range(0, size, frame):
            said = sent[start + at : start + at + frame].astype(float)
            came = heard[place + at : place + at + frame].astype(float)
            is_silent = len(came) == 0 or np.sqrt(np.mean(came**2)) < 0.05 * _LOUD
            count += bool(np.sqrt(np.mean(said**2)) > _LOUD and is_silent)
    return count


def _placed(
    sent: NDArray[Any], heard: NDArray[Any], size: int, rate: int
) -> Iterator[tuple[int, int, float]]:
    """Each loud piece: where it begins, where that was heard, and how alike they are."""
    lag = _lag(sent, heard)
    for start in range(0, len(sent) - size + 1, size):
        piece = sent[start : start + size].astype(float)
        if np.sqrt(np.mean(piece**2)) < _LOUD:
            continue
        begin = max(0, start + lag - rate // 5)
        place = heard[begin : start + lag + size + rate // 5]
        alike, at = correlation(piece, place), begin + _lag(piece, place)
        yield start, at, alike
        if alike > 0.8:
            lag = at - start


def _lag(sent: NDArray[Any], heard: NDArray[Any]) -> int:
    size = 1 << (len(sent) + len(heard)).bit_length()
    wanted, found_in = sent.astype(float), heard.astype(float)
    product = np.fft.irfft(np.fft.rfft(found_in, size) * np.conj(np.fft.rfft(wanted, size)), size)
    return int(np.argmax(product[: len(heard)]))


def gaps(heard: NDArray[Any], rate: int, quiet: float) -> int:
    """How many fiftieths of a second between the first sound and the last are silent.

    Args:
        quiet: the loudest sample of silence.
    """
    loud = np.flatnonzero(np.abs(heard) > quiet)
    if len(loud) == 0:
        return 0
    sound = np.abs(heard[loud[0] : loud[-1] + 1])
    size = rate // 50
    return sum(
        sound[at : at + size].max() <= quiet for at in range(0, len(sound) - size, size // 2)
    )
