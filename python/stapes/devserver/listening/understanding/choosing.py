"""Choosing the tool or handoff that was meant, by the words it shares with what was said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stapes.devserver.listening.tools import Kind, Parameter, Tool, topic_of
from stapes.devserver.listening.understanding.slots import fill, fill_asked, missing
from stapes.devserver.listening.words import related_words, spoken_words, stem, stems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NAME, _VERB, _RELATED, _PARAMETER, _DESCRIPTION, _COVERED = 3.0, 1.0, 0.75, 0.75, 1.0, 1.0
"""What it counts when the tool's name is heard whole; its verb; a word that is related to its name,
is of a parameter, or of the description; and when all that was heard has to do with the tool."""
_AT_MOST = 2
"""Words of one kind that count."""
_FILLED = {Kind.CHOICE: 1.0, Kind.TEXT: 0.0}
"""What an argument counts that was heard; others count a half."""
_ENOUGH = 1.75
_SURE = 3.0
_CONNECT = {"speak", "talk", "transfer", "connect", "through", "someone", "somebody", "department"}
_FOLLOW_UP = {"and", "or", "wait", "actually", "what", "how", "no"}
_OPEN = {"query", "question", "keywords", "search"}
_NUMERAL = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_SHORT = 3


@dataclass(frozen=True, slots=True)
class Intent:
    """A tool that was meant, with the arguments that were heard.

    Attributes:
        lacks: the first required parameter that is still to be asked for.
        sure: whether the tool was as good as named.
    """

    tool: Tool
    arguments: Mapping[str, Any]
    lacks: Parameter | None
    sure: bool


def choose(words: Sequence[str], tools: Sequence[Tool]) -> Intent | None:
    """Return what was meant, or None where no tool fits well enough."""
    best: Intent | None = None
    best_score = 0.0
    for tool in tools:
        arguments = fill(tool, words)
        score = _score(tool, words, arguments)
        if score >= _ENOUGH and score > best_score:
            best = Intent(tool, arguments, missing(tool, arguments), score >= _SURE)
            best_score = score
    return best


def complete(pending: Intent, words: Sequence[str]) -> Intent | None:
    """Add what `words` say to an intent that lacked an argument; None if they say nothing new."""
    heard = {**fill_asked(pending.lacks, words), **fill(pending.tool, words)}
    new = {name: value for name, value in heard.items() if name not in pending.arguments}
    if not new:
        return None
    arguments = {**pending.arguments, **new}
    return Intent(pending.tool, arguments, missing(pending.tool, arguments), pending.sure)


def follow_up(words: Sequence[str], tool: Tool, before: Mapping[str, Any]) -> Intent | None:
    """Read "and in Lisbon" as the last call again, with what is new."""
    if len(words) > _SHORT and words[0] not in _FOLLOW_UP:
        return None
    new = fill(tool, words)
    if not new or all(before.get(name) == value for name, value in new.items()):
        return None
    arguments = {**before, **new}
    return Intent(tool, arguments, missing(tool, arguments), sure=True)


def look_up(words: Sequence[str], tools: Sequence[Tool]) -> Intent | None:
    """Hand an open question to a tool that takes any: one with a parameter such as `query`."""
    for tool in tools:
        for parameter in tool.parameters:
            if parameter.kind is Kind.TEXT and _OPEN & set(parameter.words):
                arguments = {**fill(tool, words), parameter.name: " ".join(words)}
                intent = Intent(tool, arguments, missing(tool, arguments), sure=False)
                return intent if intent.lacks is None else None
    return None


def heard_words(text: str) -> tuple[str, ...]:
    """Return the words of an utterance, typed or spoken; numbers in digits stay whole."""
    priced = re.sub(r"[$€£]\s?(\d[\d.,]*)", r"\1 dollars ", text.lower())
    words: list[str] = []
    for part in re.sub(r"(?<=\d),(?=\d)", "", priced).split():
        number = _NUMERAL.fullmatch(part.strip("#.,?!;:()\"'"))
        words += (number[0],) if number else spoken_words(part)
    return tuple(words)


def _score(tool: Tool, words: Sequence[str], arguments: Mapping[str, Any]) -> float:
    heard = stems(" ".join(words))
    topic = _stems_of(topic_of(tool))
    name = _stems_of(tool.words)
    verbs = name - topic
    related = _stems_of(other for word in tool.words for other in related_words(word)) - name
    asked = stems(" ".join(f"{' '.join(p.words)} {p.description}" for p in tool.parameters))
    described = stems(tool.description) - name
    chosen = stems(" ".join(str(value) for value in arguments.values()))
    score = (
        _NAME * max(_share(topic, heard), _share(name, heard))
        + _VERB * bool(verbs & _stems_of(words))
        + _RELATED * min(_AT_MOST, len(related & heard))
        + _DESCRIPTION * min(_AT_MOST, len((described - related) & heard))
        + _PARAMETER * min(_AT_MOST, len((asked - name - described - related) & heard))
        + sum(_FILLED.get(one.kind, 0.5) for one in tool.parameters if one.name in arguments)
    )
    if score == 0.0:
        return 0.0
    score += _COVERED * _share(heard, name | related | described | asked | chosen)
    return score * 1.5 if tool.handoff and _CONNECT & set(words) else score


def _stems_of(words: Iterable[str]) -> frozenset[str]:
    return frozenset(stem(word) for word in words)


def _share(part: frozenset[str], whole: frozenset[str]) -> float:
    return len(part & whole) / len(part) if part else 0.0
