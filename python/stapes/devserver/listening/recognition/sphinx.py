"""PocketSphinx, used for one whole utterance at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from pocketsphinx import Decoder, set_loglevel

from stapes.devserver.resampling import resample

SAMPLE_RATE = 24_000
"""Of what is heard, in Hz."""
_MODEL_RATE = 16_000
_SILENCE_S = 0.25
"""Put before and after, since detectors of turns cut close to the first and last word."""
_ROOM_NOISE = 8.0
"""Standard deviation of the noise in that silence: digital zero confuses the acoustic model."""


class Sphinx:
    """A decoder for whole utterances.

    Args:
        options: PocketSphinx's own, such as `lm` and `dict`; its general English by default.
    """

    def __init__(self, **options: Any) -> None:
        set_loglevel("FATAL")
        # Normalising each utterance by itself (cmn=batch) makes the result independent of what was
        # heard before: the same sound is always the same words.
        self._decoder = Decoder(samprate=_MODEL_RATE, cmn="batch", **options)

    def words(self, pcm: bytes) -> tuple[str, ...]:
        """Return the words of PCM16 mono at 24,000 Hz, in lower case."""
        samples = np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2").astype(np.float32)
        if len(samples) == 0:
            return ()
        self._decoder.start_utt()
        self._decoder.process_raw(_padded(samples), no_search=False, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return tuple(hypothesis.hypstr.split()) if hypothesis is not None else ()


def _padded(samples: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    room = np.random.default_rng(0).normal(0.0, _ROOM_NOISE, int(_SILENCE_S * _MODEL_RATE))
    sound = np.concatenate([room, resample(samples, SAMPLE_RATE, _MODEL_RATE), room])
    pcm: bytes = np.clip(np.rint(sound), -32_768, 32_767).astype("<i2").tobytes()
    return pcm
