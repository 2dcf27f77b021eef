"""A voice that needs nothing: each word is a short sung sound."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np

from stapes.devserver.mind import Speech

_RATE = 24_000
_LETTER_MS = 65
"""About fifteen letters a second, as people speak."""
_PAUSE_MS = 45
_STOP_MS = 180
_PEAK = 0.35
_FORMANTS = np.array([[700, 1200], [400, 2000], [350, 850], [500, 1500], [300, 2300]], float)
"""First two formants of five vowels, in hertz."""


class ToneVoice:
    """Speaks in tones with the rhythm of speech: the same text gives the same sound, always.

    The sound is no speech that anybody understands, but it has pitch, vowels, syllables and pauses,
    so that voice activity detection takes it for speech.
    """

    async def speak(self, text: str, *, voice: str, speed: float) -> Speech:
        """Return about as much sound as it takes to say `text`."""
        pitch = 110.0 + zlib.crc32(voice.encode()) % 110
        pieces = []
        for word in text.split():
            pieces.append(_word(word, pitch, speed))
            stop = word[-1] in ".,;:!?"
            pieces.append(bytes(2 * _samples(_STOP_MS if stop else _PAUSE_MS, speed)))
        return Speech(b"".join(pieces))


def _samples(milliseconds: float, speed: float) -> int:
    return int(milliseconds * _RATE / 1000 / speed)


@lru_cache(maxsize=256)
def _word(word: str, pitch: float, speed: float) -> bytes:
    """Sing a word: a falling pitch, the formants of one vowel, a swell for each syllable."""
    seed = zlib.crc32(word.encode())
    length = _samples(_LETTER_MS * max(2, len(word)), speed)
    time = np.arange(length) / _RATE
    base = pitch * (0.9 + 0.2 * (seed % 97) / 97) * (1.0 - 0.15 * time / time[-1])
    phase = 2 * np.pi * np.cumsum(base) / _RATE
    formants = _FORMANTS[seed % len(_FORMANTS)]
    sound = np.zeros(length)
    for harmonic in range(1, 16):
        distance = (harmonic * pitch - formants) / 180.0
        strength = float(np.sum(1.0 / (1.0 + distance**2))) / harmonic**0.5
        sound += strength * np.sin(harmonic * phase)
    syllables = max(1, len(word) // 3)
    swell = 0.6 + 0.4 * np.cos(2 * np.pi * syllables * time / time[-1] + np.pi)
    edge = np.minimum(1.0, np.minimum(time, time[-1] - time) / 0.015)
    shaped = sound * swell * edge
    scaled = _PEAK * 32_767 * shaped / max(1e-9, float(np.max(np.abs(shaped))))
    return bytes(np.rint(scaled).astype("<i2"))
