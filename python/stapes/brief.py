"""How records that hold agents and tools are shown: by name, without what users put into them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

__all__ = ["by_name"]

_NAMED = ("agent", "from_agent", "to_agent", "tool")


def by_name(record: Any) -> str:
    """A dataclass's `repr`, with agents and tools by their names, and without the run context.

    An agent's own `repr` has its instructions, and a context whatever the user keeps in it: both
    are long, and neither is for logs.
    """
    shown = []
    for part in fields(record):
        value = getattr(record, part.name)
        if part.name in _NAMED and value is not None:
            shown.append(f"{part.name}=<{getattr(value, 'name', type(value).__name__)}>")
        elif part.repr and part.name != "context":
            shown.append(f"{part.name}={value!r}")
    return f"{type(record).__name__}({', '.join(shown)})"
