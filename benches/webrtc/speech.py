"""What callers say in the measurements: a voice of the development server's, kept as a wav file."""

from __future__ import annotations

import asyncio
import wave
from typing import TYPE_CHECKING

from stapes.devserver.voices.espeak import EspeakVoice

if TYPE_CHECKING:
    from pathlib import Path

RATE = 24_000
WORDS = (
    "Good morning. I would like to change my reservation, please: we are four people now, not two, "
    "and we will arrive on Thursday, somewhat after nine in the evening. "
    "Could you tell me whether breakfast is included, and until when it is served?"
)


def spoken_wav(file: Path) -> Path:
    """Makes the file unless it is there: 16 bits, mono, 24 kHz."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        speech = asyncio.run(EspeakVoice().speak(WORDS, voice="marin", speed=1.0))
        with wave.open(str(file), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(RATE)
            out.writeframes(speech.pcm)
    return file
