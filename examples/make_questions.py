"""Speak the questions of `questions.toml` into `questions/*.wav`, as a caller on a telephone might.

    python examples/make_questions.py

Needs the extra `stapes[speech]`. The caller's voice is none of the agents'; each question has a
little variation in pace and pitch and a quiet room around it. The same text gives the same file.
"""

from __future__ import annotations

import tomllib
import wave
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np

from stapes.devserver.resampling import resample
from stapes.devserver.voices.espeak import SAMPLE_RATE, synthesise_pcm
from stapes.devserver.voices.espeak_ng import Timbre

HERE = Path(__file__).parent
CALLER = Timbre("en-us+Reed", pace=145, pitch=46, intonation=55)
RATE = 16_000
LEAD_S, TAIL_S = 0.2, 0.3
ROOM_NOISE = 25.0
"""Standard deviation of the room's noise, in steps of 16 bits: about -62 dBFS."""


def main() -> None:
    """Write every file."""
    (HERE / "questions").mkdir(exist_ok=True)
    script = tomllib.loads((HERE / "questions.toml").read_text("utf-8"))
    for question in [*script["question"], *script["other"]]:
        path = HERE / "questions" / question["file"]
        write_wav(path, speak(question["text"]))


def speak(text: str) -> np.ndarray:
    """Return `text` as 16 bit samples at 16 kHz, with the room before, during and after it."""
    chance = np.random.default_rng(crc32(text.encode()))
    timbre = replace(
        CALLER,
        pace=CALLER.pace + int(chance.integers(-6, 7)),
        pitch=CALLER.pitch + int(chance.integers(-3, 4)),
    )
    voice = np.frombuffer(synthesise_pcm(text, timbre), "<i2").astype(np.float32)
    sound = np.pad(resample(voice, SAMPLE_RATE, RATE), (int(LEAD_S * RATE), int(TAIL_S * RATE)))
    # A room's noise is mostly low: white noise through a one-pole filter.
    white = chance.normal(0.0, 1.0, len(sound))
    room = np.convolve(white, 0.85 ** np.arange(40), "same")
    sound += ROOM_NOISE * room / room.std()
    return np.clip(np.rint(sound), -32_768, 32_767).astype("<i2")


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write mono samples at 16 kHz."""
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(samples.tobytes())


if __name__ == "__main__":
    main()
