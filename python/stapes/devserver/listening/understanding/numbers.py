"""Numbers as they are spoken: "twenty five", "four seven one", "two hundred and ten"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stapes.devserver.listening.words import DIGITS, TEENS, TENS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_UNITS = {
    **{word: value for value, word in enumerate((*DIGITS, *TEENS))},
    "oh": 0,
}
_TENS = {word: 20 + 10 * place for place, word in enumerate(TENS)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_SOUNDS_LIKE = {"for": "four", "to": "two", "too": "two", "won": "one"}
"""Words that a recogniser writes for a digit; read as one only beside other digits."""
_NUMERAL = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Number:
    """A number found in words `start` to `end` (not included).

    Attributes:
        value: "four seven one" is 471, "twenty five" 25.
        digits: the same in digits, with leading zeros.
    """

    start: int
    end: int
    value: int | float
    digits: str


def find_numbers(words: Sequence[str], *, after: Collection[str] = ()) -> list[Number]:
    """Find the numbers in `words`, in order.

    `after` names words behind which a homophone begins a number: in "order for seven one" the
    "for" is a four if "order" is among them.
    """
    spelled = _without_homophones(words, after)
    found: list[Number] = []
    start = 0
    while start < len(spelled):
        number = _number_at(spelled, start)
        if number is None:
            start += 1
        else:
            found.append(number)
            start = number.end
    return found


def _without_homophones(words: Sequence[str], after: Collection[str]) -> list[str]:
    spelled = list(words)
    for place, word in enumerate(words):
        digit = _SOUNDS_LIKE.get(word)
        follows = place > 0 and (spelled[place - 1] in DIGITS or spelled[place - 1] in after)
        ends = place + 1 == len(words)
        precedes = not ends and (words[place + 1] in DIGITS or words[place + 1] in _SOUNDS_LIKE)
        if digit and follows and (precedes or (ends and spelled[place - 1] in DIGITS)):
            spelled[place] = digit
    return spelled


def _number_at(words: Sequence[str], start: int) -> Number | None:
    first = words[start]
    if _NUMERAL.fullmatch(first):
        value = float(first) if "." in first else int(first)
        return Number(start, start + 1, value, first)
    if first not in _UNITS and first not in _TENS:
        return None
    end = start
    pieces: list[int] = []
    cardinal, scaled = 0, False
    while end < len(words):
        word = words[end]
        if word in _SCALES and end > start:
            scaled = True
            cardinal = _scale(cardinal, _SCALES[word])
        elif word == "and" and scaled and end + 1 < len(words) and _small(words[end + 1]):
            pass
        elif word in _TENS:
            if not scaled and pieces:
                pieces.append(_TENS[word])
                end += 1
                continue
            cardinal += _TENS[word]
            pieces.append(_TENS[word])
        elif word in _UNITS:
            value = _UNITS[word]
            joins = bool(pieces) and pieces[-1] >= 20 and pieces[-1] % 10 == 0 and 0 < value < 10
            cardinal += value
            if joins:
                pieces[-1] += value
            else:
                pieces.append(value)
        else:
            break
        end += 1
    if scaled:
        return Number(start, end, cardinal, str(cardinal))
    digits = "".join(map(str, pieces))
    return Number(start, end, int(digits), digits)


def _small(word: str) -> bool:
    return word in _UNITS or word in _TENS


def _scale(value: int, scale: int) -> int:
    if scale == 100:
        whole, last = divmod(value, 100)
        return whole * 100 + max(last, 1) * 100 if last else max(value, 1) * 100
    return max(value, 1) * scale
