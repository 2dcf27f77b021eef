"""What a history is made of.

The shapes are the reference's history items in Python's spelling. All are frozen: an item that
changes is another item in its place. `dataclasses.replace` makes edited copies for
`RealtimeSession.update_history`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
]

Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]


class Unset:
    """The type of `UNSET`: a field that was not stated, which is not the same as `None`."""

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET = Unset()


@dataclass(frozen=True, slots=True)
class InputText:
    """Text of a user or of the system."""

    text: str
    type: Literal["input_text"] = field(default="input_text", init=False)


@dataclass(frozen=True, slots=True)
class InputAudio:
    """A user's speech. `audio` is base64 and kept only with `history_store_audio`."""

    transcript: str | None = None
    audio: str | None = None
    type: Literal["input_audio"] = field(default="input_audio", init=False)


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image: a URL, `data:` or other."""

    image_url: str
    detail: str | None = None
    type: Literal["input_image"] = field(default="input_image", init=False)


@dataclass(frozen=True, slots=True)
class OutputText:
    """Written words of the assistant."""

    text: str
    type: Literal["output_text"] = field(default="output_text", init=False)


@dataclass(frozen=True, slots=True)
class OutputAudio:
    """Speech of the assistant.

    `transcript` is what was generated. Where an interruption cut it, `audio_end_ms` is how much was
    played and `heard` the words up to there (their share by time, cut at a word); both are `None`
    where nothing was cut.
    """

    transcript: str | None = None
    audio: str | None = None
    audio_end_ms: int | None = None
    heard: str | None = None
    type: Literal["output_audio"] = field(default="output_audio", init=False)


@dataclass(frozen=True, slots=True)
class OtherPart:
    """A part of a type that stapes does not know, as the server sent it."""

    raw: dict[str, Any]

    @property
    def type(self) -> str:
        """The server's name for it."""
        return str(self.raw.get("type"))


MessagePart: TypeAlias = InputText | InputAudio | InputImage | OutputText | OutputAudio | OtherPart


@dataclass(frozen=True, slots=True)
class MessageItem:
    """A message. A system message has no `status`.

    `previous_item_id` is what the server said of its place: `UNSET` where it said nothing, `None`
    for the first one.
    """

    item_id: str
    role: Literal["user", "assistant", "system"]
    content: tuple[MessagePart, ...]
    status: Status | None = "completed"
    previous_item_id: str | Unset | None = UNSET
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
    arguments: str
    output: str | None = None
    status: Status = "in_progress"
    call_id: str | None = None
    type: Literal["function_call"] = field(default="function_call", init=False)


@dataclass(frozen=True, slots=True)
class McpCallItem:
    """A call that the provider makes to a hosted MCP server."""

    item_id: str
    name: str
    arguments: str
    output: str | None = None
    status: Status = "in_progress"
    type: Literal["mcp_call", "mcp_tool_call"] = "mcp_call"


@dataclass(frozen=True, slots=True)
class McpApprovalRequestItem:
    """The provider asks whether it may make a call to a hosted MCP server."""

    item_id: str
    server_label: str
    name: str
    arguments: dict[str, Any]
    approved: bool | None = None
    type: Literal["mcp_approval_request"] = field(default="mcp_approval_request", init=False)


HistoryItem: TypeAlias = MessageItem | FunctionCallItem | McpCallItem | McpApprovalRequestItem
