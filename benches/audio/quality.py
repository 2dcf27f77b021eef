"""What resamplers do to sound: measured on their streams, in 20 ms chunks of float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import samplerate
import soxr
from scipy import signal

from stapes.audio import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Sound = NDArray[np.float32]

# Amplitude of the test tones; decibels are relative to it.
AMPLITUDE = 0.5
SECONDS = 0.5
# Left out at both ends, where the filter sees the tone begin and end.
EDGE = 0.1


class Stream(Protocol):
    """A resampler with a state."""

    def process(self, chunk: Sound, /) -> Sound: ...
    def flush(self) -> Sound: ...


@dataclass
class Adapter:
    """Makes a stream of two functions."""

    process: Callable[[Sound], Sound]
    flush: Callable[[], Sound]


def stapes(source: int, target: int) -> Stream:
    return Resampler(source, target, output="float32")


def soxr_of(quality: str) -> Callable[[int, int], Stream]:
    def make(source: int, target: int) -> Stream:
        stream = soxr.ResampleStream(source, target, 1, dtype="float32", quality=quality)
        nothing = np.zeros(0, np.float32)
        return Adapter(stream.resample_chunk, lambda: stream.resample_chunk(nothing, last=True))

    return make


def samplerate_of(converter: str) -> Callable[[int, int], Stream]:
    def make(source: int, target: int) -> Stream:
        stream = samplerate.Resampler(converter)
        ratio, nothing = target / source, np.zeros(0, np.float32)
        return Adapter(
            lambda chunk: stream.process(chunk, ratio),
            lambda: stream.process(nothing, ratio, end_of_input=True),
        )

    return make


def scipy_poly(source: int, target: int) -> Stream:
    """Not a stream: it hears everything at its end."""
    heard: list[Sound] = []
    divisor = int(np.gcd(source, target))

    def process(chunk: Sound) -> Sound:
        heard.append(chunk)
        return np.zeros(0, np.float32)

    def flush() -> Sound:
        return signal.resample_poly(np.concatenate(heard), target // divisor, source // divisor)

    return Adapter(process, flush)


RESAMPLERS: dict[str, Callable[[int, int], Stream]] = {
    "stapes": stapes,
    "soxr HQ": soxr_of("HQ"),
    "soxr VHQ": soxr_of("VHQ"),
    "samplerate sinc_best": samplerate_of("sinc_best"),
    "samplerate sinc_fastest": samplerate_of("sinc_fastest"),
    "scipy resample_poly": scipy_poly,
}


def convert(name: str, source: int, target: int, sound: Sound) -> Sound:
    """Run a stream in chunks of 20 ms."""
    stream = RESAMPLERS[name](source, target)
    chunks = np.split(sound, range(source // 50, len(sound), source // 50))
    return np.concatenate([*(stream.process(chunk) for chunk in chunks), stream.flush()])


def tone(rate: int, frequency: float) -> Sound:
    time = np.arange(int(rate * SECONDS)) / rate
    return (AMPLITUDE * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def middle(sound: Sound, rate: int) -> NDArray[np.float64]:
    edge = int(EDGE * rate)
    return sound[edge:-edge].astype(np.float64)


def decibels(power: float) -> float:
    return float(10 * np.log10(max(power, 1e-30) / (AMPLITUDE**2 / 2)))


@dataclass(frozen=True)
class Tone:
    """What became of a tone, in dB."""

    gain: float
    snr: float


def measure_tone(name: str, source: int, target: int, frequency: float) -> Tone:
    """Fit the tone to what came out; what is left over is noise, images and distortion."""
    heard = middle(convert(name, source, target, tone(source, frequency)), target)
    angle = 2 * np.pi * frequency * np.arange(len(heard)) / target
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    parts, *_ = np.linalg.lstsq(basis, heard, rcond=None)
    fitted = basis @ parts
    gain = decibels(float(parts @ parts) / 2)
    return Tone(gain, gain - decibels(float(np.mean((heard - fitted) ** 2))))


def measure_alias(name: str, source: int, target: int, frequency: float) -> float:
    """Give the power of what a tone above the new Nyquist frequency leaves, in dB."""
    heard = middle(convert(name, source, target, tone(source, frequency)), target)
    return decibels(float(np.mean(heard**2)))


def measure_delay(name: str, source: int, target: int) -> float:
    """Give how long after a moment was fed its sound comes out, in seconds, chunks aside."""
    stream = RESAMPLERS[name](source, target)
    # Chunks of one millisecond show what the algorithm holds back beyond the chunk.
    chunk = source // 1000
    impulse_at = source // 2
    sound = np.zeros(source, np.float32)
    sound[impulse_at] = 1
    heard: list[Sound] = []
    held: list[float] = []
    for at in range(0, len(sound) - chunk, chunk):
        heard.append(stream.process(sound[at : at + chunk]))
        if at > source // 10:
            held.append((at + chunk) / source - sum(map(len, heard)) / target)
    whole = np.concatenate([*heard, stream.flush()])
    shift = float(np.argmax(np.abs(whole))) / target - impulse_at / source
    return max(held) + shift


def frequency_response(name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give frequencies (in units of the lower rate) and dB of 24 to 48 kHz, by its impulse."""
    impulse = np.zeros(9_600, np.float32)
    impulse[4_800] = 1
    heard = convert(name, 24_000, 48_000, impulse).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(heard, 1 << 16)) / 2
    return np.fft.rfftfreq(1 << 16) * 2, 20 * np.log10(np.maximum(spectrum, 1e-10))
