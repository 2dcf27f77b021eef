"""What a caller says, from WAV files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.audio import Resampler, read_wav

if TYPE_CHECKING:
    from pathlib import Path


class SpeechFileError(Exception):
    """Nothing can be said from a file. The message names it and says why."""


def read_speech(path: Path, sample_rate: int) -> bytes:
    """Return a WAV file, of several channels the first, as PCM16 at that rate.

    Raises:
        SpeechFileError: it is not there, or no WAV file, or has no sound.
    """
    try:
        samples, rate = read_wav(path)
    except OSError as error:
        raise SpeechFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise SpeechFileError(str(error)) from error
    if not len(samples):
        raise SpeechFileError(f"{path} has no sound in it")
    mono = samples if samples.ndim == 1 else samples[:, 0].copy()
    if rate == sample_rate:
        return mono.tobytes()
    try:
        resampler = Resampler(rate, sample_rate)
    except ValueError as error:
        raise SpeechFileError(f"{path} cannot be resampled: {error}") from error
    return resampler.process(mono) + resampler.flush()
