"""Checks of JSON values, as small functions that are put together.

A check takes a value and its path and raises the `ProtocolError` that the provider would answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from stapes.devserver.session.errors import (
    ProtocolError,
    invalid_type,
    missing_parameter,
    unknown_parameter,
    unsupported_value,
)

Check = Callable[[Any, str], None]


def anything(value: Any, path: str) -> None:
    """Accept every JSON value."""


def mapping(value: Any, path: str) -> None:
    """Accept any object."""
    if not isinstance(value, dict):
        raise invalid_type(path, "an object", value)


def boolean(value: Any, path: str) -> None:
    """Accept true and false."""
    if not isinstance(value, bool):
        raise invalid_type(path, "a boolean", value)


def text(*, longest: int | None = None, pattern: str | None = None) -> Check:
    """Accept a string, no longer than `longest` characters, that matches `pattern`."""
    expression = None if pattern is None else re.compile(pattern)

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise invalid_type(path, "a string", value)
        if longest is not None and len(value) > longest:
            raise ProtocolError(
                f"Invalid '{path}': string too long. Expected a string with maximum length "
                f"{longest}, but got a string with length {len(value)} instead.",
                "string_above_max_length",
                path,
            )
        if expression is not None and not expression.search(value):
            raise ProtocolError(
                f"Invalid '{path}': string does not match pattern. Expected a string that matches "
                f"the pattern '{pattern}'.",
                "invalid_value",
                path,
            )

    return check


def number(
    *, lowest: float | None = None, highest: float | None = None, whole: bool = False
) -> Check:
    """Accept a number (an integer if `whole`) from `lowest` to `highest`."""
    kind = "integer" if whole else "decimal"

    def check(value: Any, path: str) -> None:
        right = isinstance(value, int) if whole else isinstance(value, int | float)
        if not right or isinstance(value, bool):
            raise invalid_type(path, "an integer" if whole else "a decimal number", value)
        if lowest is not None and value < lowest:
            raise ProtocolError(
                f"Invalid '{path}': {kind} below minimum value. Expected a value >= {lowest}, "
                f"but got {value} instead.",
                f"{kind}_below_min_value",
                path,
            )
        if highest is not None and value > highest:
            raise ProtocolError(
                f"Invalid '{path}': {kind} above maximum value. Expected a value <= {highest}, "
                f"but got {value} instead.",
                f"{kind}_above_max_value",
                path,
            )

    return check


def one_of(*supported: str) -> Check:
    """Accept one of the strings."""

    def check(value: Any, path: str) -> None:
        if value not in supported:
            raise unsupported_value(path, value, supported)

    return check


def nullable(inner: Check) -> Check:
    """Accept null and whatever `inner` accepts."""

    def check(value: Any, path: str) -> None:
        if value is not None:
            inner(value, path)

    return check


def by_type(**checks: Check) -> Check:
    """Choose the check by the JSON type: `string`, `number`, `object` or `array`."""

    def check(value: Any, path: str) -> None:
        match value:
            case str():
                kind = "string"
            case bool():
                kind = "boolean"
            case int() | float():
                kind = "number"
            case list():
                kind = "array"
            case dict():
                kind = "object"
            case _:
                kind = "null"
        if kind not in checks:
            names = " or ".join(f"{'an' if name[0] in 'ao' else 'a'} {name}" for name in checks)
            raise invalid_type(path, names, value)
        checks[kind](value, path)

    return check


def listing(inner: Check, *, longest: int | None = None) -> Check:
    """Accept an array whose elements `inner` accepts."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise invalid_type(path, f"an array of {'values'}", value)
        if longest is not None and len(value) > longest:
            raise ProtocolError(
                f"Invalid '{path}': array too long. Expected an array with maximum length "
                f"{longest}, but got an array with length {len(value)} instead.",
                "array_above_max_length",
                path,
            )
        for index, element in enumerate(value):
            inner(element, f"{path}[{index}]")

    return check


def fields(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """Accept an object of just these fields."""
    known = {**required, **optional}

    def check(value: Any, path: str) -> None:
        mapping(value, path)
        prefix = f"{path}." if path else ""
        for name in required:
            if name not in value:
                raise missing_parameter(prefix + name)
        for name, inner in value.items():
            if name not in known:
                raise unknown_parameter(prefix + name)
            known[name](inner, prefix + name)

    return check


def pairs(inner: Check, *, most: int, longest_key: int) -> Check:
    """Accept an object of at most `most` fields of any names, whose values `inner` accepts."""
    key = text(longest=longest_key)

    def check(value: Any, path: str) -> None:
        mapping(value, path)
        if len(value) > most:
            raise ProtocolError(
                f"Invalid '{path}': too many properties. Expected an object with at most {most} "
                f"properties, but got an object with {len(value)} properties instead.",
                "object_above_max_properties",
                path,
            )
        for name, field in value.items():
            key(name, path)
            inner(field, f"{path}.{name}")

    return check


def tagged(tag: str, variants: Mapping[str, Check]) -> Check:
    """Choose the check of an object by the value of its field `tag`."""
    choose = one_of(*variants)

    def check(value: Any, path: str) -> None:
        mapping(value, path)
        where = f"{path}.{tag}" if path else tag
        if tag not in value:
            raise missing_parameter(where)
        choose(value[tag], where)
        variants[value[tag]](value, path)

    return check
