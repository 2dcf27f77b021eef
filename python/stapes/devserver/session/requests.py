"""What one response is made from: the session's settings under the overrides of its request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stapes.devserver.audio.formats import PCM, AudioFormat
from stapes.devserver.mind import View
from stapes.devserver.session.config import voice_name
from stapes.devserver.session.errors import ProtocolError
from stapes.devserver.session.items import Item, from_client

if TYPE_CHECKING:
    from stapes.devserver.session.context import CallContext


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """Settings of one response.

    Attributes:
        spoken: it answers in audio; else in text.
        in_conversation: what it says becomes part of the default conversation.
        input: the items it reads instead of the conversation; `None` for the conversation.
        max_tokens: the most it may say; `None` for no limit.
    """

    instructions: str
    tools: list[dict[str, Any]]
    spoken: bool
    voice: str
    speed: float
    format: AudioFormat
    wire_audio: dict[str, Any]
    in_conversation: bool
    input: list[Item] | None
    max_tokens: int | None
    metadata: dict[str, Any] | None

    @classmethod
    def of(cls, context: CallContext, overrides: dict[str, Any]) -> ResponseRequest:
        """Put validated overrides over the session's settings; null leaves a setting as it is.

        Raises:
            ProtocolError: an input item is not there, or the voice cannot change any more.
        """
        session = context.config.wire
        asked = {name: value for name, value in overrides.items() if value is not None}
        output = {
            **session["audio"]["output"],
            **((asked.get("audio") or {}).get("output") or {}),
        }
        voice = voice_name(output["voice"])
        if (
            voice != session["audio"]["output"]["voice"]
            and context.conversation.has_assistant_audio
        ):
            raise ProtocolError(
                "Cannot update a conversation's voice if assistant audio is present.",
                "cannot_update_voice",
            )
        tools = asked.get("tools", session["tools"])
        limit = asked.get("max_output_tokens", session["max_output_tokens"])
        return cls(
            instructions=asked.get("instructions", session["instructions"]),
            tools=_chosen(tools, asked.get("tool_choice", session["tool_choice"])),
            spoken=asked.get("output_modalities", session["output_modalities"]) == ["audio"],
            voice=voice,
            speed=output["speed"],
            format=AudioFormat.of(output["format"]) if context.output_audio is None else PCM,
            wire_audio={"output": {"format": output["format"], "voice": voice}},
            in_conversation=asked.get("conversation", "auto") == "auto",
            input=_input(context, asked["input"]) if "input" in asked else None,
            max_tokens=None if limit == "inf" else limit,
            metadata=asked.get("metadata"),
        )

    def reads(self, context: CallContext) -> list[Item]:
        """Return the items that the response reads, as they are now."""
        return list(context.conversation) if self.input is None else self.input

    def view(self, items: list[Item]) -> View:
        """Return what the mind is shown."""
        return View(
            instructions=self.instructions,
            tools=self.tools,
            items=[item.to_view() for item in items],
            metadata=self.metadata,
        )


def _chosen(tools: list[dict[str, Any]], choice: str | dict[str, Any]) -> list[dict[str, Any]]:
    """Leave the mind those tools that the tool choice leaves it."""
    match choice:
        case "none":
            return []
        case {"type": "function", "name": name}:
            return [tool for tool in tools if tool.get("name") == name]
        case _:
            return list(tools)


def _input(context: CallContext, wire: list[dict[str, Any]]) -> list[Item]:
    items = []
    for index, described in enumerate(wire):
        if described["type"] != "item_reference":
            item = from_client(
                described,
                item_id=context.ids.new("item"),
                call_id=context.ids.new("call"),
                input_format=context.config.input_format,
                path=f"response.input[{index}]",
            )
        else:
            found = context.conversation.get(described["id"])
            if found is None:
                raise ProtocolError(
                    f"The item with id '{described['id']}' does not exist.",
                    "invalid_value",
                    f"response.input[{index}].id",
                )
            item = found
        items.append(item)
    return items
