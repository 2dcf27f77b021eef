"""Names and shapes of the JS SDK as stapes writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What is inside these is the user's or the provider's own and keeps its keys.
_OPAQUE = {"provider_data", "metadata", "variables", "tools", "headers", "arguments"}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def snake_keys(value: Any) -> Any:
    match value:
        case Mapping():
            return {
                snake(key): inner if snake(key) in _OPAQUE else snake_keys(inner)
                for key, inner in value.items()
            }
        case list():
            return [snake_keys(inner) for inner in value]
        case _:
            return value
