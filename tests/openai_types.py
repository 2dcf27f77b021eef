"""Checks messages against the types of OpenAI's own client library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator


def unknown_keys(value: object, where: str = "") -> Iterator[str]:
    """The paths of what a validated value has and its type does not know."""
    match value:
        case BaseModel():
            for name in value.model_extra or {}:
                yield f"{where}.{name}"
            for name in value.model_fields_set:
                yield from unknown_keys(getattr(value, name, None), f"{where}.{name}")
        case dict():
            for name, inner in value.items():
                yield from unknown_keys(inner, f"{where}.{name}")
        case list():
            for index, inner in enumerate(value):
                yield from unknown_keys(inner, f"{where}[{index}]")


def validated(kind: Any, message: dict[str, Any]) -> Any:
    """The message as a value of that type; fails where it is none, or has a key too many."""
    value = TypeAdapter(kind).validate_python(message)
    assert list(unknown_keys(value)) == []
    return value
