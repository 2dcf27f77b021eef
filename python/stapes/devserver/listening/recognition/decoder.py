"""Hearing what is said to an agent: with a vocabulary made for it, or else with all of English."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stapes.devserver.listening.recognition.backoff import BackoffModel
from stapes.devserver.listening.recognition.phrases import about_agent, everyday_talk, expand
from stapes.devserver.listening.recognition.pronunciation import dictionary, pronunciations
from stapes.devserver.listening.recognition.sphinx import Sphinx
from stapes.devserver.listening.tools import read_tools
from stapes.devserver.listening.words import spoken_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SEARCH = {"lw": 8.0, "fwdflatlw": 10.0, "bestpathlw": 12.0}
"""Weights of the language model in the three passes: a model of few words is worth more trust."""
_GENERAL_SEARCH = {"maxhmmpf": 3000, "maxwpf": 10}
"""Bounds on the search through 130,000 words: half the time for a twentieth of the words."""
_FAMILIAR = 0.75
"""Share of familiar pairs of words below which the agent's vocabulary was the wrong one. Measured:
of what is said about an agent's business 0.8 and more are, of other talk 0.7 and less."""


class AgentDecoder:
    """Recognises what is said to one agent."""

    def __init__(self, instructions: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """Build the language model from an agent's instructions and tools."""
        self._model = _language_model(instructions, tools)
        with tempfile.TemporaryDirectory(prefix="stapes-listening-") as folder:
            grammar, words = Path(folder, "agent.arpa"), Path(folder, "agent.dict")
            grammar.write_text(self._model.to_arpa(), "utf-8")
            words.write_text(_dictionary_of(self._model.words), "utf-8")
            self._sphinx = Sphinx(lm=str(grammar), dict=str(words), **_SEARCH)

    def transcribe(self, pcm: bytes) -> str:
        """Return the words of PCM16 mono at 24,000 Hz, in lower case; empty if there are none."""
        words = self._sphinx.words(pcm)
        if words and self._model.familiarity(words) < _FAMILIAR:
            words = general_english().words(pcm)
        return " ".join(words)


@cache
def general_english() -> Sphinx:
    """Return the decoder with the general language model; it takes 60 MB, and half a second."""
    return Sphinx(**_GENERAL_SEARCH)


def _language_model(instructions: str, tools: Sequence[Mapping[str, Any]]) -> BackoffModel:
    model = BackoffModel()
    known = dictionary()
    # Only what the agent itself says may be a word that no dictionary has; kin is guessed.
    own = {
        word
        for word in spoken_words(f"{instructions} {json.dumps(tools, ensure_ascii=False)}")
        if pronunciations(word)
    }
    phrases = (*everyday_talk(), *about_agent(instructions, read_tools(tools)))
    for turn, (phrase, weight) in enumerate(phrases):
        for words, share in expand(phrase, weight, turn):
            if all(word in known or word in own for word in words):
                model.add(words, share)
    return model


def _dictionary_of(words: Iterable[str]) -> str:
    """Write the dictionary of these words: a line for each way to say one."""
    return "".join(
        f"{word}({way}) {phones}\n" if way > 1 else f"{word} {phones}\n"
        for word in sorted(words)
        for way, phones in enumerate(pronunciations(word), start=1)
    )
