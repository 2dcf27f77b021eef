"""English words as they are spoken: splitting, stems, and the words that carry no meaning."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from stapes.devserver.listening.knowledge import lines_of

if TYPE_CHECKING:
    from collections.abc import Mapping

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = (
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")

EMPTY = frozenset(lines_of("empty_words.txt"))
"""Words that say nothing about what a caller wants."""

_SUFFIXES = ("ings", "ing", "ers", "ies", "ed", "es", "er", "ly", "s", "e", "y")


# Letters that Unicode does not decompose, as English writes them.
_LETTERS = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "ł": "l", "đ": "d", "ð": "d", "þ": "th"}
    | {"\u0131": "i", "\u2019": "'"}
)


def spoken_words(text: str) -> tuple[str, ...]:
    """Split text into lower-case words as they are spoken, digits one by one, without accents."""
    text = unicodedata.normalize("NFKD", text.lower()).translate(_LETTERS)
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    spelled = re.sub(r"[0-9]", lambda digit: f" {DIGITS[int(digit[0])]} ", text)
    return tuple(word for raw in re.findall(r"[a-z']+", spelled) if (word := raw.strip("'")))


def stem(word: str) -> str:
    """Cut an English ending: "refunds", "refunded" and "refunding" become one."""
    word = word.removesuffix("'s")
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word.removesuffix(suffix)
    return word


def stems(text: str) -> frozenset[str]:
    """Return the stems of the words of `text` that carry meaning."""
    return frozenset(stem(word) for word in spoken_words(text) if word not in EMPTY)


def variants(word: str) -> tuple[str, ...]:
    """Guess other forms of a word, which may or may not exist: callers say "bill" for "billing"."""
    base = {word, word.removesuffix("'s")}
    for suffix in ("ing", "es", "s", "ed", "er"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            cut = word.removesuffix(suffix)
            base |= {cut, cut + "e", cut[:-1] if cut[-1] == cut[-2] else cut}
    return tuple(sorted(base | {f"{one}s" for one in base} - {word}))


def related_words(word: str) -> tuple[str, ...]:
    """Return words that callers use where a tool says `word`."""
    return _related().get(word, ())


@cache
def _related() -> Mapping[str, tuple[str, ...]]:
    pairs = (line.partition(":") for line in lines_of("related_words.txt"))
    return {word: tuple(others.split()) for word, _, others in pairs}


def list_of(parts: list[str]) -> str:
    """Join as one says it: "a, b and c"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""
