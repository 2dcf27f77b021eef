"""Choosing the tool or handoff that was meant, by the words it shares with what was said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stapes.devserver.listening.tools import Parameter, Tool, topic_of
from stapes.devserver.listening.understanding.slots import fill, missing
from stapes.devserver.listening.words import spoken_words, stem, stems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME, _PARAMETER, _DESCRIPTION, _FILLED = 3.0, 0.75, 1.0, 0.5
_ENOUGH = 1.75
_CONNECT = ("speak", "talk", "transfer", "connect", "through", "someone", "department", "person")
_FOLLOW_UP = (("what", "about"), ("how", "about"), ("and",), ("wait", "what", "about"), ("or",))


@dataclass(frozen=True, slots=True)
class Intent:
    """A tool that was meant, with the arguments that were heard.

    Attributes:
        lacks: the first required parameter that is still to be asked for.
    """

    tool: Tool
    arguments: Mapping[str, Any]
    lacks: Parameter | None
    score: float


def choose(words: Sequence[str], tools: Sequence[Tool]) -> Intent | None:
    """Return what was meant, or None where no tool fits well enough."""
    best: Intent | None = None
    for tool in tools:
        arguments = fill(tool, words)
        score = _score(tool, words) + _FILLED * len(arguments)
        if tool.handoff and set(words) & set(_CONNECT):
            score *= 1.5
        if score >= _ENOUGH and (best is None or score > best.score):
            best = Intent(tool, arguments, missing(tool, arguments), score)
    return best


def complete(pending: Intent, words: Sequence[str]) -> Intent | None:
    """Add what `words` say to an intent that lacked an argument; None if they say nothing new."""
    heard = fill(pending.tool, words)
    arguments = {
        **pending.arguments,
        **{k: v for k, v in heard.items() if k not in pending.arguments},
    }
    if len(arguments) == len(pending.arguments):
        return None
    return Intent(pending.tool, arguments, missing(pending.tool, arguments), pending.score)


def follow_up(words: Sequence[str], tool: Tool, before: Mapping[str, Any]) -> Intent | None:
    """Read "and in Lisbon" as the last call again, with what is new."""
    opening = tuple(words[:3])
    if not any(opening[: len(one)] == one for one in _FOLLOW_UP) and len(words) > 3:
        return None
    formed = fill(tool, words)
    if not formed or formed == before:
        return None
    arguments = {**before, **formed}
    return Intent(tool, arguments, missing(tool, arguments), _ENOUGH)


def _score(tool: Tool, words: Sequence[str]) -> float:
    heard = {stem(word) for word in words} & stems(" ".join(words))
    named = {stem(word) for word in topic_of(tool)} | {stem(word) for word in tool.words}
    described = stems(tool.description) - named
    asked = stems(" ".join(f"{' '.join(p.words)} {p.description}" for p in tool.parameters))
    of_topic = {stem(word) for word in topic_of(tool)}
    share = len(of_topic & heard) / len(of_topic) if of_topic else 0.0
    return (
        _NAME * share
        + _DESCRIPTION * len(described & heard)
        + _PARAMETER * len((asked - named - described) & heard)
    )


def heard_words(text: str) -> tuple[str, ...]:
    """Return the words of an utterance, typed or spoken; numbers in digits stay whole."""
    words: list[str] = []
    for part in text.lower().replace(",", "").split():
        bare = part.strip('#.?!;:$€()"')
        words += (bare,) if bare.isdigit() else spoken_words(part)
    return tuple(words)
