"""A tool's result as the text that the model gets."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

__all__ = ["tool_result_text"]


def tool_result_text(value: Any) -> str:
    """Text as it is, anything else as JSON without spaces, as the reference writes it.

    Dataclasses and pydantic models become objects, bytes a note of their length; what JSON cannot
    express becomes its `str`.
    """
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{memoryview(value).nbytes} bytes]"
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)
