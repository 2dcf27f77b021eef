"""Filling a tool's parameters from what was said, as their JSON schema asks."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from stapes.devserver.listening.knowledge import lines_of
from stapes.devserver.listening.tools import Kind, Parameter, Tool, topic_of
from stapes.devserver.listening.understanding.numbers import Number, find_numbers
from stapes.devserver.listening.words import EMPTY, spoken_words, stem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CURRENCIES = {"dollar", "dollars", "euro", "euros", "pounds", "pound", "bucks", "cents"}
_DAYS = (
    "day after tomorrow", "today", "tomorrow", "tonight", "yesterday", "this weekend",
    "this week", "next week", *(
        f"{prefix}{day}"
        for prefix in ("next ", "")
        for day in ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    ),
)  # fmt: skip
_REFUSALS = {"no", "not", "without", "don't", "never"}
_BEFORE_NAME = (("name", "is"), ("this", "is"), ("called",))
_SWITCHES = {"on", "enabled", "enable", "active"}
_FREE = {Kind.CITY, Kind.NAME, Kind.TEXT}
"""What an answer to a question may say in words that nobody knows."""
_CITY_WORDS = 3
"""That a city's name has at most."""
_BEFORE_TEXT = ("about", "for", "that", "called", "named", "saying")


def fill(tool: Tool, words: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of `tool` that can be heard in `words`."""
    arguments: dict[str, Any] = {}
    taken: set[int] = set()
    for parameter in sorted(tool.parameters, key=_order):
        value = _value(parameter, words, taken, tool)
        if value is not None:
            arguments[parameter.name] = value
    return {one.name: arguments[one.name] for one in tool.parameters if one.name in arguments}


def fill_asked(parameter: Parameter | None, words: Sequence[str]) -> dict[str, Any]:
    """Take what was said for the free text that was asked for, such as an unusual name or city."""
    said = [word for word in words if word not in EMPTY]
    if parameter is None or parameter.kind not in _FREE or not said:
        return {}
    if parameter.kind is Kind.CITY and (len(said) > _CITY_WORDS or _REFUSALS & set(words)):
        return {}
    text = " ".join(said)
    return {parameter.name: text if parameter.kind is Kind.TEXT else text.title()}


def missing(tool: Tool, arguments: Mapping[str, Any]) -> Parameter | None:
    """Return the first required parameter without an argument."""
    return next((p for p in tool.parameters if p.required and p.name not in arguments), None)


def _order(parameter: Parameter) -> int:
    # What is recognised by its form goes first, so that free text gets what is left.
    return (
        Kind.CHOICE, Kind.MONEY, Kind.DAY, Kind.TIME, Kind.CITY, Kind.IDENTIFIER, Kind.NUMBER,
        Kind.FLAG, Kind.NAME, Kind.TEXT,
    ).index(parameter.kind)  # fmt: skip


def _value(parameter: Parameter, words: Sequence[str], taken: set[int], tool: Tool) -> Any:
    match parameter.kind:
        case Kind.CHOICE:
            return _choice(parameter, words)
        case Kind.CITY:
            return _city(parameter, words)
        case Kind.MONEY:
            return _typed(_money(parameter, words, taken), parameter)
        case Kind.IDENTIFIER:
            return _typed(_identifier(parameter, words, taken), parameter)
        case Kind.NUMBER:
            return _typed(_take(find_numbers(words), taken), parameter)
        case Kind.DAY:
            return _day(words)
        case Kind.TIME:
            return _time(words, taken)
        case Kind.FLAG:
            return _flag(parameter, words)
        case Kind.NAME:
            return _name(words)
        case Kind.TEXT:
            return _text(parameter, words, tool)


def _typed(number: Number | None, parameter: Parameter) -> Any:
    if number is None:
        return None
    match parameter.type:
        case "integer":
            return int(number.value)
        case "number":
            return float(number.value)
        case _:
            return number.digits


def _take(numbers: Sequence[Number], taken: set[int]) -> Number | None:
    for number in numbers:
        if number.start not in taken:
            taken.add(number.start)
            return number
    return None


def _money(parameter: Parameter, words: Sequence[str], taken: set[int]) -> Number | None:
    numbers = find_numbers(words, after=parameter.words)
    priced = [one for one in numbers if one.end < len(words) and words[one.end] in _CURRENCIES]
    named = [
        one
        for one in numbers
        if set(words[max(0, one.start - 2) : one.start]) & set(parameter.words)
    ]
    return _take(priced or named, taken)


def _identifier(parameter: Parameter, words: Sequence[str], taken: set[int]) -> Number | None:
    marks = {*parameter.words, "number", "is", "id", "code"}
    numbers = find_numbers(words, after=marks)
    marked = [one for one in numbers if one.start > 0 and words[one.start - 1] in marks]
    unpriced = [one for one in numbers if words[one.end : one.end + 1] != ["dollars"]]
    return _take(marked, taken) or _take(unpriced, taken)


@cache
def _known_cities() -> Mapping[tuple[str, ...], str]:
    return {tuple(city.lower().split()): city for city in lines_of("cities.txt")}


def _city(parameter: Parameter, words: Sequence[str]) -> str | None:
    known = {tuple(spoken_words(example)): example for example in parameter.examples}
    known.update(_known_cities())
    found: list[tuple[int, str]] = []
    start = 0
    while start < len(words):
        for length in (3, 2, 1):
            city = known.get(tuple(words[start : start + length]))
            if city is not None:
                found.append((start, city))
                start += length - 1
                break
        start += 1
    wanted = {"destination": "to", "to": "to", "origin": "from", "from": "from"}
    mark = next((wanted[word] for word in parameter.words if word in wanted), None)
    for place, city in found:
        if mark is None or words[max(0, place - 1)] == mark:
            return city
    return found[0][1] if found else None


def _choice(parameter: Parameter, words: Sequence[str]) -> Any:
    heard = {stem(word) for word in words}
    best, best_share = None, 0.0
    for choice in parameter.choices:
        needed = {stem(word) for word in spoken_words(str(choice).replace("_", " "))}
        share = len(needed & heard) / len(needed) if needed else 0.0
        if share > best_share:
            best, best_share = choice, share
    return best if best_share > 0.5 else None


def _day(words: Sequence[str]) -> str | None:
    said = f" {' '.join(words)} "
    return next((day for day in _DAYS if f" {day} " in said), None)


def _time(words: Sequence[str], taken: set[int]) -> str | None:
    for number in find_numbers(words):
        before = words[number.start - 1] if number.start else ""
        after = words[number.end] if number.end < len(words) else ""
        if (before == "at" or after == "o'clock") and number.value <= 24:
            taken.add(number.start)
            return f"{number.value}:00"
    return None


def _flag(parameter: Parameter, words: Sequence[str]) -> bool | None:
    if parameter.words[-1] in _SWITCHES:
        said = [word for word in words if word in {"on", "off", "enable", "disable"}]
        return said[-1] in {"on", "enable"} if said else None
    marks = {stem(word) for word in parameter.words}
    for place, word in enumerate(words):
        if stem(word) in marks:
            return not _REFUSALS & set(words[max(0, place - 3) : place])
    return None


@cache
def _known_names() -> frozenset[str]:
    return frozenset(name.lower() for name in lines_of("names.txt"))


def _name(words: Sequence[str]) -> str | None:
    for start, word in enumerate(words):
        before = tuple(words[max(0, start - 3) : start])
        introduced = any(before[-len(opening) :] == opening for opening in _BEFORE_NAME)
        if word in _known_names() or (introduced and word not in EMPTY):
            family = words[start + 1 : start + 2]
            named = [word, *(one for one in family if one in _known_names() or introduced)]
            return " ".join(one.capitalize() for one in named if one not in EMPTY)
    return None


def _text(parameter: Parameter, words: Sequence[str], tool: Tool) -> str | None:
    topic = {stem(word) for word in topic_of(tool)}
    about = max((at for at, word in enumerate(words) if stem(word) in topic), default=-1)
    rest = list(words[about + 1 :])
    while rest and (rest[0] in EMPTY or rest[0] in _BEFORE_TEXT):
        rest.pop(0)
    if rest:
        return " ".join(rest)
    return " ".join(words) if parameter.required and words else None
