"""What a history is made of.

The shapes are the reference's history items in Python's spelling. All are frozen: an item that
changes is another item in its place. `dataclasses.replace` makes edited copies for
`RealtimeSession.update_history`. Items can be copied and pickled, and `items_to_dicts` and
`items_from_dicts` go to JSON and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeAlias

__all__ = [
    "UNSET",
    "FunctionCallItem",
    "HistoryItem",
    "InputAudio",
    "InputImage",
    "InputText",
    "McpApprovalRequestItem",
    "McpCallItem",
    "MessageItem",
    "MessagePart",
    "OtherPart",
    "OutputAudio",
    "OutputText",
    "Unset",
    "items_from_dicts",
    "items_to_dicts",
]

Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]

McpStatus: TypeAlias = Literal["in_progress", "completed", "incomplete", "failed"]


class Unset(str):
    """The type of `UNSET`: a field that was not stated, which is not the same as `None`.

    There is one of it, copied and pickled or not. It is an empty text, which no id is, so that JSON
    can hold it.
    """

    __slots__ = ()

    def __new__(cls) -> Unset:
        """Gives the one there is."""
        return UNSET if "UNSET" in globals() else super().__new__(cls)

    def __reduce__(self) -> str:
        return "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()
"""The one `Unset`."""


@dataclass(frozen=True, slots=True)
class InputText:
    """Text of a user or of the system."""

    text: str
    """The words."""
    type: Literal["input_text"] = field(default="input_text", init=False)


@dataclass(frozen=True, slots=True)
class InputAudio:
    """A user's speech. `audio` is base64 and kept only with `history_store_audio`."""

    transcript: str | None = None
    """What was said; `None` until it is known."""
    audio: str | None = None
    """The sound, in base64."""
    type: Literal["input_audio"] = field(default="input_audio", init=False)


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image: a URL, `data:` or other."""

    image_url: str
    """A URL, such as `data:image/png;base64,...`."""
    detail: str | None = None
    """`low`, `high` or `auto`, where it was given."""
    type: Literal["input_image"] = field(default="input_image", init=False)


@dataclass(frozen=True, slots=True)
class OutputText:
    """Written words of the assistant."""

    text: str
    """The words."""
    type: Literal["output_text"] = field(default="output_text", init=False)


@dataclass(frozen=True, slots=True)
class OutputAudio:
    """Speech of the assistant.

    `transcript` is what was generated. Where an interruption cut it, `audio_end_ms` is how much was
    played and `heard` the words up to there (their share by time, cut at a word); both are `None`
    where nothing was cut: so `heard is not None` tells that it was.
    """

    transcript: str | None = None
    """The words that were generated. After a cut: those that the provider has kept, which may be
    fewer, or all of them where it states none."""
    audio: str | None = None
    """The sound, in base64."""
    audio_end_ms: int | None = None
    """Milliseconds that were played, where it was cut."""
    heard: str | None = None
    """The words that were heard, where it was cut."""
    type: Literal["output_audio"] = field(default="output_audio", init=False)


@dataclass(frozen=True, slots=True)
class OtherPart:
    """A part of a type that stapes does not know, as the server sent it."""

    raw: dict[str, Any]
    """The part, as JSON values."""

    @property
    def type(self) -> str:
        """The server's name for it."""
        return str(self.raw.get("type"))


MessagePart: TypeAlias = InputText | InputAudio | InputImage | OutputText | OutputAudio | OtherPart
"""A part of a message."""


@dataclass(frozen=True, slots=True)
class MessageItem:
    """A message. A system message has no `status`.

    `previous_item_id` is what the server said of its place: `UNSET` where it said nothing, `None`
    for the first one.
    """

    item_id: str
    role: Literal["user", "assistant", "system"]
    """Who says it."""
    content: tuple[MessagePart, ...]
    """Its parts, in order."""
    status: Status | None = "completed"
    """How far its making is. `incomplete`: it ended early, such as by an interruption. An answer
    that was whole and was cut while it played is `completed`: see `OutputAudio.heard`."""
    previous_item_id: str | Unset | None = UNSET
    """The item before it."""
    type: Literal["message"] = field(default="message", init=False)

    @property
    def text(self) -> str:
        """All its words, spoken or written; of a cut answer those that were heard."""
        words = []
        for part in self.content:
            match part:
                case InputText(text=text) | OutputText(text=text):
                    words.append(text)
                case OutputAudio(heard=str(heard)):
                    words.append(heard)
                case InputAudio(transcript=str(text)) | OutputAudio(transcript=str(text)):
                    words.append(text)
                case _:
                    pass
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class FunctionCallItem:
    """A call of a tool or handoff; `output` is `None` until it has been answered."""

    item_id: str
    name: str
    """The name of the tool or handoff."""
    arguments: str
    """JSON, as the model wrote it."""
    output: str | None = None
    """What was answered."""
    status: Status = "in_progress"
    """How far it is."""
    call_id: str | None = None
    type: Literal["function_call"] = field(default="function_call", init=False)


@dataclass(frozen=True, slots=True)
class McpCallItem:
    """A call that the provider makes to a hosted MCP server.

    `error` says why a call with the status `failed` did, in the server's words.
    """

    item_id: str
    name: str
    """The tool's name."""
    arguments: str
    """JSON, as the model wrote it."""
    output: str | None = None
    """What the server answered."""
    status: McpStatus = "in_progress"
    """How far it is."""
    type: Literal["mcp_call", "mcp_tool_call"] = "mcp_call"
    error: str | None = None
    """Why it failed."""


@dataclass(frozen=True, slots=True)
class McpApprovalRequestItem:
    """The provider asks whether it may make a call to a hosted MCP server."""

    item_id: str
    server_label: str
    """The hosted MCP server."""
    name: str
    """The tool's name."""
    arguments: dict[str, Any]
    """What the tool would be called with."""
    approved: bool | None = None
    """The decision; `None`: there is none yet."""
    type: Literal["mcp_approval_request"] = field(default="mcp_approval_request", init=False)


HistoryItem: TypeAlias = MessageItem | FunctionCallItem | McpCallItem | McpApprovalRequestItem
"""An item of the history: a message, or a call."""


def items_to_dicts(
    history: Iterable[HistoryItem | Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """A history as values that `json.dumps` takes, and `RealtimeSession(history=...)` too.

    Args:
        history: items, or what this function or `dataclasses.asdict` made of them, edited or not.

    Raises:
        TypeError: an item is neither.
    """
    return [_item_to_dict(item) for item in history]


def items_from_dicts(values: Iterable[Mapping[str, Any]]) -> list[HistoryItem]:
    """The items that `items_to_dicts` or `dataclasses.asdict` wrote, read back from JSON.

    Raises:
        ValueError: a value is no history item; says which, and why.
    """
    return [_item_from_dict(value) for value in values]


_PARTS: dict[str, type[Any]] = {
    "input_text": InputText,
    "input_audio": InputAudio,
    "input_image": InputImage,
    "output_text": OutputText,
    "output_audio": OutputAudio,
}
_ITEMS: dict[str, type[Any]] = {
    "message": MessageItem,
    "function_call": FunctionCallItem,
    "mcp_call": McpCallItem,
    "mcp_tool_call": McpCallItem,
    "mcp_approval_request": McpApprovalRequestItem,
}


def _item_to_dict(item: HistoryItem | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(item, Mapping):
        plain = dict(item)
    elif isinstance(item, HistoryItem):
        plain = {"type": item.type, **_stated(item)}
    else:
        raise TypeError(
            f"a history item must be one of stapes.items or a mapping, not {type(item).__name__}"
        )
    if isinstance(content := plain.get("content"), list | tuple):
        plain["content"] = [part_to_value(part) for part in content]
    if plain.get("previous_item_id") == UNSET:
        del plain["previous_item_id"]
    return plain


def part_to_value(part: Any) -> Any:
    if isinstance(part, Mapping) and set(part) == {"raw"}:
        return part["raw"]
    match part:
        case OtherPart(raw=raw):
            return raw
        case InputImage(detail=None):
            return {"type": part.type, "image_url": part.image_url}
        case OutputAudio(audio_end_ms=None):
            return {"type": part.type, "transcript": part.transcript, "audio": part.audio}
        case InputText() | InputAudio() | InputImage() | OutputText() | OutputAudio():
            return {"type": part.type, **_stated(part)}
        case _:
            return part


def _stated(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _item_from_dict(value: Mapping[str, Any]) -> HistoryItem:
    plain = dict(value)
    name = plain.get("item_id", "without an item_id")
    item_class = _ITEMS.get(str(plain.get("type")))
    if item_class is None:
        raise ValueError(
            f"history item {name} is of the unknown type {plain.get('type')!r}: "
            f"use {', '.join(_ITEMS)}"
        )
    if item_class is MessageItem:
        content = plain.get("content")
        if not isinstance(content, list | tuple):
            raise ValueError(f"message {name} needs content: a list of parts")
        plain["content"] = tuple(_part_from_value(part) for part in content)
        plain["status"] = plain.get(
            "status", None if plain.get("role") == "system" else "completed"
        )
        if plain.get("previous_item_id") == UNSET:
            del plain["previous_item_id"]
    made: HistoryItem = _made(item_class, plain, f"history item {name}")
    return made


def _part_from_value(part: Any) -> MessagePart:
    if not isinstance(part, Mapping):
        raise ValueError(f"a part of a message must be a mapping, not {type(part).__name__}")
    if set(part) == {"raw"}:
        return OtherPart(part["raw"])
    part_class = _PARTS.get(str(part.get("type")))
    if part_class is None:
        return OtherPart(dict(part))
    made: MessagePart = _made(part_class, part, f"a part of type {part['type']}")
    return made


def _made(kind: type[Any], plain: Mapping[str, Any], what: str) -> Any:
    takes = {field.name for field in fields(kind) if field.init}
    try:
        return kind(**{key: value for key, value in plain.items() if key in takes})
    except TypeError as error:
        missing = str(error).partition("missing ")[2] or str(error)
        raise ValueError(f"{what} is incomplete: {missing}") from None
