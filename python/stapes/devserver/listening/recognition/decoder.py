"""PocketSphinx, with a language model made for the agent that is spoken to."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pocketsphinx import Decoder, get_model_path, set_loglevel

from stapes.devserver.listening.recognition.backoff import BackoffModel
from stapes.devserver.listening.recognition.phrases import about_agent, everyday_talk, expand
from stapes.devserver.listening.tools import read_tools
from stapes.devserver.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SAMPLE_RATE = 24_000
"""Of what is heard, in Hz."""
_MODEL_RATE = 16_000
_SILENCE_S = 0.25
"""Put before and after, since detectors of turns cut close to the first and last word."""
_ROOM_NOISE = 8.0
"""Standard deviation of the noise in that silence: digital zero confuses the acoustic model."""

_SEARCH = {"lw": 8.0, "fwdflatlw": 10.0, "bestpathlw": 12.0}
"""Weights of the language model in the three passes: a model of few words is worth more trust."""


class AgentDecoder:
    """Recognises what is said to one agent."""

    def __init__(self, instructions: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """Build the language model from an agent's instructions and tools."""
        set_loglevel("FATAL")
        model = _language_model(instructions, tools)
        with tempfile.TemporaryDirectory(prefix="stapes-listening-") as folder:
            grammar, pronunciations = Path(folder, "agent.arpa"), Path(folder, "agent.dict")
            grammar.write_text(model.to_arpa(), "utf-8")
            pronunciations.write_text(_pronunciations_of(model.words), "utf-8")
            # Normalising each utterance by itself (cmn=batch) makes the result independent of what
            # was heard before: the same sound is always the same words.
            self._decoder = Decoder(
                lm=str(grammar),
                dict=str(pronunciations),
                samprate=_MODEL_RATE,
                cmn="batch",
                **_SEARCH,
            )

    def transcribe(self, pcm: bytes) -> str:
        """Return the words of PCM16 mono at 24,000 Hz, in lower case; empty if there are none."""
        samples = np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2").astype(np.float32)
        if len(samples) == 0:
            return ""
        self._decoder.start_utt()
        self._decoder.process_raw(_padded(samples), no_search=False, full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis is not None else ""


def _padded(samples: np.ndarray[Any, np.dtype[np.float32]]) -> bytes:
    room = np.random.default_rng(0).normal(0.0, _ROOM_NOISE, int(_SILENCE_S * _MODEL_RATE))
    sound = np.concatenate([room, resample(samples, SAMPLE_RATE, _MODEL_RATE), room])
    pcm: bytes = np.clip(np.rint(sound), -32_768, 32_767).astype("<i2").tobytes()
    return pcm


def _language_model(instructions: str, tools: Sequence[Mapping[str, Any]]) -> BackoffModel:
    known = _dictionary()
    model = BackoffModel()
    phrases = (*everyday_talk(), *about_agent(instructions, read_tools(tools)))
    for turn, (phrase, weight) in enumerate(phrases):
        for words, share in expand(phrase, weight, turn):
            if known.keys() >= set(words):
                model.add(words, share)
    return model


def _pronunciations_of(words: Iterable[str]) -> str:
    known = _dictionary()
    return "".join(line for word in sorted(words) for line in known[word])


@cache
def _dictionary() -> Mapping[str, list[str]]:
    """Read the model's pronunciation dictionary: the lines of each word."""
    entries: defaultdict[str, list[str]] = defaultdict(list)
    with open(get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as lines:
        for line in lines:
            entries[line.partition(" ")[0].partition("(")[0]].append(line)
    return dict(entries)
