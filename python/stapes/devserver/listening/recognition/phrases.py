"""What a caller is likely to say to an agent: everyday talk, and what the agent's tools are about.

The recogniser's language model is made of these sentences. They are a guess at the words, not a
list of all that is understood: the model backs off to any order of its words.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from stapes.devserver.listening.knowledge import lines_of
from stapes.devserver.listening.tools import VERBS, Kind, Parameter, Tool, topic_of
from stapes.devserver.listening.words import (
    DIGITS,
    EMPTY,
    TEENS,
    TENS,
    related_words,
    spoken_words,
    variants,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SLOT = re.compile(r"\{(\w+)\}")
_NOUN_FRAMES = (
    "{}", "the {}", "{} please", "what is the {}", "what's the {}", "what is my {}",
    "what's my {}", "how is the {}", "how's the {}", "what will the {} be", "how will the {} be",
    "how is the {} going to be", "what is the {} like", "what's the {} like",
    "tell me the {}", "can you tell me the {}", "could you tell me the {}",
    "do you know the {}", "give me the {}", "can you give me the {}",
    "can you check the {}", "please check the {}", "check my {}", "i need the {}",
    "i would like the {}", "i would like a {}", "i'd like a {}", "i want a {}", "i need a {}",
    "can i get a {}", "can i have a {}", "i want my {}", "tell me about the {}",
    "and the {}", "what about the {}", "how about the {}",
    "i have a question about my {}", "i have a question about the {}", "i am calling about my {}",
    "i have a problem with my {}",
)  # fmt: skip
_ACTION_FRAMES = (
    "{}", "please {}", "can you {}", "could you {}", "can you please {}", "i want to {}",
    "i need to {}", "i would like to {}", "i'd like to {}", "i would like you to {}", "can i {}",
    "could i {}", "how do i {}", "how can i {}", "you can {}",
)  # fmt: skip
_AGENT_FRAMES = (
    "{}", "{} please", "the {} department", "the {} team", "someone in {}", "someone from {}",
    "i have a question for {}", "i have a question about {}", "this is about {}",
    "i need help with {}", "i need {}",
)  # fmt: skip
_AGENT_WAYS = (
    "i would like to speak to {}", "i would like to talk to {}", "i want to speak to {}",
    "i want to talk to {}", "i need to speak to {}", "can i speak to {}", "can i talk to {}",
    "could i speak to {}", "let me speak to {}", "put me through to {}", "connect me to {}",
    "transfer me to {}", "please transfer me to {}", "can you transfer me to {}",
    "please connect me to {}", "speak to {} please", "i'd like to speak to {}",
    "please put me through to {}", "may i speak with {}", "i would like to speak with {}",
)  # fmt: skip
_SHORT = 3
"""Words of a phrase that is combined with every filler."""
_SAMPLE = 16
_MENTION_FRAMES = ("the {}", "my {}", "a {}", "what is the {}", "about the {}", "about my {}")
_VALUE_FRAMES = (
    "when does the {} open", "when does the {} close", "what time does the {} open",
    "what time does the {} close", "is the {} open", "when is the {} open", "in the {}",
    "of the {}", "at the {}", "to the {}", "how is the {}",
)  # fmt: skip

_TOOL, _DESCRIPTION, _INSTRUCTIONS, _EXAMPLE = 40.0, 1.0, 0.5, 4.0
_KNOWN, _KIN, _TOLD = 3.0, 1.5, 0.3
"""Weights of a tool's phrases together, of a sentence, of a value; and of single words: those of
the tools, their kin, and those of the instructions.

A line of everyday talk weighs 1.
"""


@cache
def fillers() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Return what may stand for each slot of a phrase, each as a sequence of words."""
    below_hundred = [*DIGITS[1:], *TEENS]
    for ten in TENS:
        below_hundred += [ten, *(f"{ten} {unit}" for unit in DIGITS[1:])]
    hundreds = [f"{unit} hundred" for unit in DIGITS[1:]]
    larger = [f"{unit} thousand" for unit in DIGITS[1:]]
    numbers = [*below_hundred, *hundreds, *larger]
    # People mostly name round sums.
    sums = [*numbers, *3 * (*TENS, *hundreds), *(f"{ten} five" for ten in TENS)]
    return {
        slot: tuple(tuple(one.lower().split()) for one in values)
        for slot, values in {
            "city": lines_of("cities.txt"),
            "name": lines_of("names.txt"),
            "number": numbers,
            "digits": [*_digit_strings(), *below_hundred[9:]],
            "money": [f"{one} {unit}" for one in sums for unit in ("dollars", "euros")],
            "day": [*DAYS, "today", "tomorrow", *(f"next {day}" for day in DAYS)],
            "time": [f"{hour} {part}" for hour in below_hundred[:12] for part in ("o'clock", "")],
        }.items()
    }


def _digit_strings() -> Iterator[str]:
    # Each digit is followed by each other, in strings of three to five.
    for first in range(10):
        for second in range(10):
            string = [first, second]
            for _ in range(1 + (first + second) % 3):
                string.append((3 * string[-1] + 7 * string[-2] + 1) % 10)
            yield " ".join(DIGITS[digit] for digit in string)


@cache
def everyday_talk() -> tuple[tuple[str, float], ...]:
    """Return phrases of any conversation, with their weights."""
    talk = []
    for line in lines_of("conversation.txt"):
        weight, bar, phrase = line.partition("|")
        talk.append((phrase.strip(), float(weight)) if bar else (line, 1.0))
    return tuple(talk)


def about_agent(instructions: str, tools: Sequence[Tool]) -> Iterator[tuple[str, float]]:
    """Give phrases that this agent's tools, handoffs and instructions suggest, with weights."""
    for tool in tools:
        frames = list(_handoff_phrases(tool) if tool.handoff else _tool_phrases(tool))
        for phrase in frames:
            yield phrase, _TOOL / len(frames)
        yield from _prose(tool.description, _DESCRIPTION)
        for parameter in tool.parameters:
            yield from _prose(parameter.description, _DESCRIPTION)
            yield from _values(parameter)
    yield from _prose(instructions, _INSTRUCTIONS)
    known = {word for word in spoken_words(" ".join(map(_text_of, tools))) if word not in EMPTY}
    kin = {other for word in known for other in (*variants(word), *related_words(word))} - known
    told = {word for word in spoken_words(instructions) if word not in EMPTY} - known - kin
    for words, weight in ((known, _KNOWN), (kin, _KIN), (told, _TOLD)):
        yield from _mentions(words, weight)


def _text_of(tool: Tool) -> str:
    return " ".join((*tool.words, tool.description))


def _values(parameter: Parameter) -> Iterator[tuple[str, float]]:
    for value in (*parameter.examples, *map(str, parameter.choices)):
        if said := " ".join(spoken_words(value)):
            yield said, _EXAMPLE
            for frame in (*_NOUN_FRAMES, *_VALUE_FRAMES):
                yield frame.format(said), _EXAMPLE / len(_NOUN_FRAMES)


def _mentions(words: Iterable[str], weight: float) -> Iterator[tuple[str, float]]:
    for word in sorted(words):
        for frame in _MENTION_FRAMES:
            yield frame.format(word), weight / len(_MENTION_FRAMES)


def expand(phrase: str, weight: float, turn: int) -> Iterator[tuple[tuple[str, ...], float]]:
    """Fill the slots of a phrase, sharing its weight among the fillers.

    A short phrase takes every filler; a longer one some of them, spread evenly from the one at
    `turn`: all phrases together cover them, and the model's back-off does the rest.
    """
    parts = phrase.split()
    choices = [fillers()[slot[1]] if (slot := _SLOT.fullmatch(part)) else None for part in parts]
    most = max((len(values) for values in choices if values), default=1)
    count = most if len(parts) <= _SHORT else min(most, _SAMPLE)
    for place in range(turn, turn + most, most // count):
        words: list[str] = []
        for position, (part, values) in enumerate(zip(parts, choices, strict=True)):
            if values is None:
                words.append(part)
            else:
                words += values[(place + 7 * position) % len(values)]
        yield tuple(words), weight * (most // count) / most


def _prose(text: str, weight: float) -> Iterator[tuple[str, float]]:
    for sentence in re.split(r"[.!?:;,\n()]+", text):
        if words := spoken_words(sentence):
            yield " ".join(words), weight


def _handoff_phrases(tool: Tool) -> Iterator[str]:
    name = " ".join(word for word in tool.words if word not in {"agent", "assistant"})
    if name:
        for form in (name, f"the {name}", f"the {name} department"):
            yield from (frame.format(form) for frame in _AGENT_WAYS)
        yield from (frame.format(name) for frame in _AGENT_FRAMES)


def _tool_phrases(tool: Tool) -> Iterator[str]:
    topic, full = " ".join(topic_of(tool)), " ".join(tool.words)
    heads = [frame.format(topic) for frame in _NOUN_FRAMES]
    if tool.words[:1] and tool.words[0] in VERBS:
        heads += [frame.format(full) for frame in _ACTION_FRAMES]
    tails = [tail for parameter in tool.parameters for tail in _tails(parameter)]
    yield from heads
    for tail in tails:
        yield from (f"{head} {tail}" for head in heads)
        yield tail


def _tails(parameter: Parameter) -> Iterator[str]:
    words = " ".join(parameter.words)
    match parameter.kind:
        case Kind.CITY:
            yield from ("in {city}", "for {city}", "in {city} today", "in {city} tomorrow")
        case Kind.IDENTIFIER:
            for frame in ("{}", "for {}", "for my {}", "of {}", "my {}"):
                yield f"{frame.format(words)} {{digits}}"
                yield f"{frame.format(words)} number {{digits}}"
        case Kind.MONEY:
            yield from ("of {money}", "for {money}", "{money}")
        case Kind.NUMBER:
            yield from (f"{{number}} {words}", f"for {{number}} {words}", f"{words} {{number}}")
        case Kind.DAY:
            yield from ("on {day}", "for {day}", "{day}")
        case Kind.TIME:
            yield from ("at {time}", "for {time}")
        case Kind.CHOICE:
            yield from (" ".join(spoken_words(str(choice))) for choice in parameter.choices)
        case Kind.NAME:
            yield from ("to {name}", "for {name}", "with {name}", "to {name} please")
        case Kind.FLAG if words in {"on", "enabled", "active"}:
            yield from ("on", "off")
        case Kind.FLAG | Kind.TEXT:
            yield words
    for example in parameter.examples:
        yield " ".join(spoken_words(example))
