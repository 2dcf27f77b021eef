"""A tool's result, and the text that the model gets of it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

__all__ = ["BackgroundResult", "background_result", "tool_result_text"]


@dataclass(frozen=True, slots=True)
class BackgroundResult:
    """A tool's output that the model learns of without being asked to respond."""

    content: Any
    """The output, as a tool returns it."""


def background_result(content: Any) -> BackgroundResult:
    """Wraps a tool's result so that it starts no new response."""
    return BackgroundResult(content)


def tool_result_text(value: Any) -> str:
    """Text as it is, anything else as JSON without spaces, as the reference writes it.

    Dataclasses and pydantic models become objects, bytes a note of their length; a value that JSON
    cannot express becomes its `str`. Half a surrogate pair, which is no text, becomes U+FFFD.
    """
    if isinstance(value, str):
        return _sendable(value)
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
    except (TypeError, ValueError, RecursionError):
        text = str(value)
    return _sendable(text)


def _sendable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


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
