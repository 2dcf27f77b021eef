"""An offline voice: eSpeak NG, which needs neither network nor a model to download."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from zlib import crc32

import numpy as np

from stapes.devserver.mind import Speech
from stapes.devserver.resampling import resample
from stapes.devserver.voices.espeak_ng import Timbre, find_synthesiser
from stapes.devserver.voices.sound import SAMPLE_RATE, to_pcm

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMBRES: Final[Mapping[str, Timbre]] = {
    "alloy": Timbre("en-us+m7", pace=162, pitch=52, intonation=45),
    "ash": Timbre("en-us+m3", pace=158, pitch=38, intonation=45),
    "ballad": Timbre("en-gb-x-rp+m1", pace=150, pitch=48, intonation=60),
    "cedar": Timbre("en-gb-x-rp+Michael", pace=158, pitch=40, intonation=50),
    "coral": Timbre("en-us+f3", pace=165, pitch=58, intonation=60),
    "echo": Timbre("en-us+m1", pace=160, pitch=34, intonation=40),
    "marin": Timbre("en-us+Annie", pace=160, pitch=48, intonation=55),
    "sage": Timbre("en-gb-x-rp+f2", pace=155, pitch=44, intonation=50),
    "shimmer": Timbre("en-us+f4", pace=158, pitch=50, intonation=50),
    "verse": Timbre("en-gb-scotland+m4", pace=160, pitch=46, intonation=55),
}
"""The provider's voice names, each with a sound of its own."""

_PACES = (80, 450)
"""Words a minute that eSpeak NG accepts."""


class EspeakVoice:
    """Speaks with eSpeak NG: robotic, but instant and small.

    The same text is not the same samples: eSpeak NG lets the voice tremble a little.

    Args:
        longest_s: where an utterance is cut off, in seconds.

    Raises:
        VoiceUnavailableError: there is no eSpeak NG on this machine.
    """

    def __init__(self, *, longest_s: float = 120.0) -> None:
        find_synthesiser()
        self._longest_s = longest_s
        # The library keeps one state for the whole process; more threads would only wait.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stapes-espeak")

    async def speak(self, text: str, *, voice: str, speed: float) -> Speech:
        """Speak `text` as `voice`, `speed` times the voice's usual pace.

        A name that is not in `TIMBRES` gets one of them, always the same.

        Raises:
            VoiceUnavailableError: there is no eSpeak NG on this machine.
        """
        loop = asyncio.get_running_loop()
        timbre = timbre_of(voice, speed)
        pcm = await loop.run_in_executor(
            self._thread, synthesise_pcm, text, timbre, self._longest_s
        )
        return Speech(pcm)


def timbre_of(voice: str, speed: float = 1.0) -> Timbre:
    """Return how the named voice sounds at `speed` times its usual pace."""
    timbre = TIMBRES.get(voice)
    if timbre is None:
        timbre = list(TIMBRES.values())[crc32(voice.encode()) % len(TIMBRES)]
    pace = min(max(round(timbre.pace * speed), _PACES[0]), _PACES[1])
    return replace(timbre, pace=pace)


def synthesise_pcm(text: str, timbre: Timbre, longest_s: float = 120.0) -> bytes:
    """Return `text` spoken, as PCM16 little endian mono at 24,000 Hz.

    Raises:
        VoiceUnavailableError: there is no eSpeak NG on this machine, or it has no such voice.
    """
    samples, rate = find_synthesiser().synthesise(text, timbre, limit_s=longest_s)
    sound = resample(samples.astype(np.float32) / 32_768.0, rate, SAMPLE_RATE)
    return to_pcm(sound)
