"""A session's tools as a listener sees them: which words name them, what their parameters are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any


class Kind(Enum):
    """What can be heard and handed to a parameter."""

    CITY = auto()
    IDENTIFIER = auto()
    MONEY = auto()
    NUMBER = auto()
    DAY = auto()
    TIME = auto()
    CHOICE = auto()
    FLAG = auto()
    NAME = auto()
    TEXT = auto()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a tool.

    Attributes:
        words: its name as words, without such as "id" and "number" where others are left.
        type: the JSON schema type, null left out.
        choices: the values of an enumeration.
        examples: values that its description or schema gives as examples.
    """

    name: str
    words: tuple[str, ...]
    kind: Kind
    type: str
    required: bool
    description: str
    choices: tuple[Any, ...]
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function tool or, where `handoff`, the way to another agent.

    Attributes:
        words: the name as words; of a handoff, the other agent's name.
    """

    name: str
    words: tuple[str, ...]
    description: str
    parameters: tuple[Parameter, ...]
    handoff: bool


VERBS = {
    "add", "ask", "book", "buy", "calculate", "call", "cancel", "change", "check", "close",
    "compute", "convert", "create", "delete", "do", "fetch", "find", "get", "give", "issue",
    "list", "look", "lookup", "make", "open", "order", "pay", "place", "query", "read", "refund",
    "remove", "request", "reserve", "retrieve", "schedule", "search", "send", "set", "show",
    "start", "stop", "submit", "turn", "update",
}  # fmt: skip
_HANDOFF = "transfer_to_"
_PLACE = {"city", "cities", "location", "place", "town", "destination", "origin", "where"}
_IDENTIFIER = {"id", "ids", "identifier", "number", "no", "code", "reference", "ref", "pin", "zip"}
_MONEY = {"amount", "price", "cost", "dollars", "euros", "sum", "budget", "payment", "total"}
_DAY = {"date", "day", "when", "weekday"}
_TIME = {"time", "hour"}
_NAME = {"name", "customer", "person", "who", "contact", "guest", "recipient", "patient", "caller"}
_WEAK = {"id", "ids", "identifier", "number", "no", "ref", "the", "a", "an", "of"}
_EXAMPLES = re.compile(r"(?:e\.?\s?g\.?|for example|such as|like)[,:]?\s*(.+?)(?:[.;)]|$)", re.I)


def words_of(name: str) -> tuple[str, ...]:
    """Split `getWeather` or `get_weather` into lower-case words."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return tuple(re.findall(r"[a-z']+|[0-9]+", apart.lower()))


def read_tools(definitions: Sequence[Mapping[str, Any]]) -> tuple[Tool, ...]:
    """Read the session's tools; those that are no functions are left out."""
    return tuple(
        _read_tool(definition)
        for definition in definitions
        if definition.get("type") == "function" and isinstance(definition.get("name"), str)
    )


def topic_of(tool: Tool) -> tuple[str, ...]:
    """Return the tool's name without a leading verb such as "get", if words are left."""
    words = tool.words
    while len(words) > 1 and words[0] in VERBS:
        words = words[1:]
    return words


def _read_tool(definition: Mapping[str, Any]) -> Tool:
    name: str = definition["name"]
    schema = definition.get("parameters")
    schema = schema if isinstance(schema, Mapping) else {}
    properties = schema.get("properties")
    required = schema.get("required") or ()
    handoff = name.startswith(_HANDOFF)
    return Tool(
        name=name,
        words=words_of(name.removeprefix(_HANDOFF)),
        description=str(definition.get("description") or ""),
        parameters=tuple(
            _read_parameter(key, value, required=key in required)
            for key, value in (properties.items() if isinstance(properties, Mapping) else ())
            if isinstance(value, Mapping)
        ),
        handoff=handoff,
    )


def _read_parameter(name: str, schema: Mapping[str, Any], *, required: bool) -> Parameter:
    plain = _without_null(schema)
    words = words_of(name)
    strong = tuple(word for word in words if word not in _WEAK)
    description = str(schema.get("description") or plain.get("description") or "")
    choices = _choices(plain)
    type_name = plain.get("type")
    type_name = type_name if isinstance(type_name, str) else "string"
    given = plain.get("examples")
    examples = [str(one) for one in given] if isinstance(given, Sequence) else []
    if found := _EXAMPLES.search(description):
        quoted = re.findall(r"['\"`]([^'\"`]+)['\"`]", found[1])
        examples += quoted or [part.strip() for part in re.split(r",| or ", found[1])]
    return Parameter(
        name=name,
        words=strong or words,
        kind=_kind(words, description, type_name, choices),
        type=type_name,
        required=required,
        description=description,
        choices=choices,
        examples=tuple(example for example in examples if example),
    )


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if isinstance(options, Sequence):
            for option in options:
                if isinstance(option, Mapping) and option.get("type") != "null":
                    return {**schema, **option}
    types = schema.get("type")
    if isinstance(types, Sequence) and not isinstance(types, str):
        return {**schema, "type": next((one for one in types if one != "null"), "string")}
    return schema


def _choices(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    values = schema.get("enum")
    if isinstance(values, Sequence) and not isinstance(values, str):
        return tuple(value for value in values if value is not None)
    return (schema["const"],) if "const" in schema else ()


def _kind(
    words: tuple[str, ...], description: str, type_name: str, choices: tuple[Any, ...]
) -> Kind:
    said = set(words)
    told = said | set(words_of(description))
    if choices:
        return Kind.CHOICE
    match type_name:
        case "boolean":
            return Kind.FLAG
        case "integer" | "number":
            if said & _MONEY:
                return Kind.MONEY
            return Kind.IDENTIFIER if said & _IDENTIFIER else Kind.NUMBER
    by_name = (
        (_PLACE, Kind.CITY),
        (_IDENTIFIER, Kind.IDENTIFIER),
        (_MONEY, Kind.MONEY),
        (_DAY, Kind.DAY),
        (_TIME, Kind.TIME),
        (_NAME, Kind.NAME),
    )
    for names in (said, told):
        for marks, kind in by_name:
            if names & marks:
                return kind
    return Kind.TEXT
