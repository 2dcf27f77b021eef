"""What a caller says in a test, as sound: a WAV file, a recording, or words that a voice speaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stapes.audio import Recording
    from stapes.devserver import Voice

__all__ = ["is_sound", "speech"]

RATE = 24_000
_shared_voice: list[Voice] = []


def is_sound(what: object) -> bool:
    """Whether this is sound, and no text: anything but a text, and the name of a WAV file."""
    return not isinstance(what, str) or what.endswith(".wav")


def read_sound(what: str | Path) -> bytes:
    """PCM16 mono at 24,000 Hz of a WAV file, of several channels the first.

    Raises:
        OSError, ValueError: it cannot be read, or is no WAV file with sound in it.
    """
    from stapes.audio import Resampler, read_wav

    samples, rate = read_wav(Path(what))
    if not len(samples):
        raise ValueError(f"{what} has no sound in it")
    mono = samples if samples.ndim == 1 else samples[:, 0].copy()
    if rate == RATE:
        return mono.tobytes()
    resampler = Resampler(rate, RATE)
    return resampler.process(mono) + resampler.flush()


async def speech(what: str | Path | Recording | Any, voice: Voice | bool) -> Any:
    """What `send_audio` takes, at 24,000 Hz where it is bytes.

    Raises:
        OSError, ValueError: a file cannot be read.
        VoiceUnavailableError: there is no voice to speak with; says how to get one.
    """
    if voice and isinstance(what, str):
        spoken = await (_offline_voice() if voice is True else voice).speak(
            what, voice="alloy", speed=1.0
        )
        return spoken.pcm
    if isinstance(what, str | Path):
        return read_sound(what)
    return what


def _offline_voice() -> Voice:
    if not _shared_voice:
        from stapes.devserver.voices import offline_voice

        _shared_voice.append(offline_voice())
    return _shared_voice[0]
