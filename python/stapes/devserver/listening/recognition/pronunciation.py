"""How words are pronounced: from PocketSphinx's dictionary, or as eSpeak NG reads them.

An agent's own words, its brand above all, are in no dictionary.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

from pocketsphinx import get_model_path

from stapes.devserver.listening.knowledge import lines_of
from stapes.devserver.voices.espeak_ng import Library, find_synthesiser
from stapes.devserver.voices.sound import VoiceUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_STRESSES = "ˈˌ"


@cache
def dictionary() -> Mapping[str, tuple[str, ...]]:
    """Read the dictionary: the ways to pronounce each word, in the CMU alphabet."""
    entries: defaultdict[str, list[str]] = defaultdict(list)
    with open(get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as lines:
        for line in lines:
            word, _, phones = line.strip().partition(" ")
            entries[word.partition("(")[0]].append(phones)
    return {word: tuple(ways) for word, ways in entries.items()}


@cache
def pronunciations(word: str) -> tuple[str, ...]:
    """Return the ways to pronounce a lower-case word; none where nobody knows."""
    if known := dictionary().get(word):
        return known
    try:
        reader = find_synthesiser()
    except VoiceUnavailableError:
        return ()
    if not isinstance(reader, Library):
        return ()
    phonemes = [one.strip(_STRESSES) for one in reader.phonemes(word, "en-us")]
    phones = [_arpabet().get(one) for one in phonemes if one]
    return (" ".join(filter(None, phones)),) if phones and all(phones) else ()


@cache
def _arpabet() -> Mapping[str, str]:
    pairs = (line.partition(" ") for line in lines_of("arpabet.txt"))
    return {phoneme: phones for phoneme, _, phones in pairs}
