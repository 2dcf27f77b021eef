"""Turning what a tool returned into a sentence."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from stapes.devserver.listening.tools import Kind, Parameter, Tool, topic_of, words_of
from stapes.devserver.listening.words import list_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPOKEN_ITEMS = 5
_UNITS = (
    (re.compile(r"(-?\d+(?:\.\d+)?) ?°\s?C\b"), r"\1 degrees"),
    (re.compile(r"(-?\d+(?:\.\d+)?) ?°\s?F\b"), r"\1 degrees Fahrenheit"),
    (re.compile(r"°"), " degrees"),
    (re.compile(r"(\d) ?%"), r"\1 percent"),
)


def say_output(tool: Tool | None, arguments: Mapping[str, Any], output: str) -> str:
    """Return a sentence that reports `output`, the text or JSON that a call returned."""
    try:
        value = json.loads(output)
    except ValueError:
        value = output
    topic = " ".join(topic_of(tool)) if tool else "result"
    if value in (None, "", {}, []):
        return "That is done."
    match value:
        case True:
            return "Yes, that is done."
        case False:
            return "I am afraid the answer is no."
        case str(text):
            return _say_text(topic, arguments, text)
        case {"error": error}:
            return f"I am afraid that did not work: {_say_value(error)}."
        case _:
            return f"{_opening(topic, arguments)}{_say_value(value)}."


def ask_for(parameter: Parameter) -> str:
    """Return the question for a parameter that was not said."""
    words = " ".join(parameter.words)
    match parameter.kind:
        case Kind.CITY:
            return "For which city, please?"
        case Kind.IDENTIFIER:
            return f"What is the {words} number, please?"
        case Kind.MONEY | Kind.NUMBER:
            return f"What is the {words}, please?"
        case Kind.CHOICE:
            return f"Which {words}: {' or '.join(map(str, parameter.choices[:_SPOKEN_ITEMS]))}?"
        case _:
            return f"Could you tell me the {words}, please?"


def _opening(topic: str, arguments: Mapping[str, Any]) -> str:
    values = [_say_value(value) for value in arguments.values() if isinstance(value, str | int)]
    return f"The {topic} for {list_of(values)}: " if values else f"The {topic}: "


def _say_text(topic: str, arguments: Mapping[str, Any], text: str) -> str:
    spoken = _readable(text)
    if len(spoken.split()) > 5 or spoken[-1:] in ".!?":
        return spoken if spoken[-1:] in ".!?" else f"{spoken}."
    return f"{_opening(topic, arguments)}{spoken}."


def _say_value(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "nothing"
        case dict():
            pairs = [
                f"{' '.join(words_of(str(key)))} {_say_value(one)}" for key, one in value.items()
            ]
            return list_of(pairs[:_SPOKEN_ITEMS])
        case list():
            return list_of([_say_value(one) for one in value[:_SPOKEN_ITEMS]]) or "nothing"
        case float() if value.is_integer():
            return str(int(value))
        case _:
            return _readable(str(value))


def _readable(text: str) -> str:
    for pattern, spoken in _UNITS:
        text = pattern.sub(spoken, text)
    return " ".join(text.split())
