"""What the server refuses, in the provider's words and codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class ProtocolError(Exception):
    """A client event that is refused; it becomes one `error` event and changes nothing.

    Attributes:
        message: what is wrong.
        code: the provider's error code.
        param: path of the argument, such as `session.audio.input.format`.
        type: the class of error.
    """

    message: str
    code: str | None = None
    param: str | None = None
    type: str = "invalid_request_error"

    def __str__(self) -> str:
        return self.message

    def wire(self, event_id: str | None = None) -> dict[str, Any]:
        """Return the `error` object; `event_id` names the client event at fault."""
        return {
            "type": self.type,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": event_id,
        }


def unknown_parameter(path: str) -> ProtocolError:
    """Refuse an argument that does not exist."""
    return ProtocolError(f"Unknown parameter: '{path}'.", "unknown_parameter", path)


def missing_parameter(path: str) -> ProtocolError:
    """Refuse an object without one of its required arguments."""
    return ProtocolError(
        f"Missing required parameter: '{path}'.", "missing_required_parameter", path
    )


def invalid_type(path: str, expected: str, value: object) -> ProtocolError:
    """Refuse an argument of the wrong JSON type."""
    return ProtocolError(
        f"Invalid type for '{path}': expected {expected}, but got {_name(value)} instead.",
        "invalid_type",
        path,
    )


def unsupported_value(path: str, value: object, supported: tuple[str, ...]) -> ProtocolError:
    """Refuse a value that is not one of those supported."""
    quoted = [f"'{name}'" for name in supported]
    match quoted:
        case [only]:
            listed = f"Value must be {only}."
        case [first, second]:
            listed = f"Supported values are: {first} and {second}."
        case _:
            listed = f"Supported values are: {', '.join(quoted[:-1])}, and {quoted[-1]}."
    return ProtocolError(f"Invalid value: '{value}'. {listed}", "invalid_value", path)


def session_expired(seconds: float) -> ProtocolError:
    """Tell that the time of a session is over, which was so long."""
    minutes = seconds / 60
    lasted = f"{minutes:g} minutes" if minutes == int(minutes) else f"{seconds:g} seconds"
    return ProtocolError(f"Your session hit the maximum duration of {lasted}.", "session_expired")


def no_such_item(verb: str, gerund: str, item_id: str) -> ProtocolError:
    """Refuse to act on an item that is not in the conversation."""
    return ProtocolError(
        f"Error {gerund} item: the item with id '{item_id}' does not exist.",
        f"item_{verb}_invalid_item_id",
        "item_id",
    )


def _name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
