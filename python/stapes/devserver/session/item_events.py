"""The client's own acts on the conversation: create, retrieve, truncate, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.devserver.session.errors import ProtocolError, no_such_item
from stapes.devserver.session.items import from_client
from stapes.devserver.session.truncation import cut_off

if TYPE_CHECKING:
    from stapes.devserver.session.context import CallContext
    from stapes.devserver.session.hearing import Hearing
    from stapes.devserver.session.items import Item


class ItemEvents:
    """Answers `conversation.item.*` client events."""

    def __init__(self, context: CallContext, hearing: Hearing) -> None:
        self._context = context
        self._hearing = hearing

    def create(self, event: dict[str, Any]) -> None:
        """Put an item of the client's into the conversation."""
        context = self._context
        item = from_client(
            event["item"],
            item_id=context.ids.new("item"),
            call_id=context.ids.new("call"),
            input_format=context.config.input_format,
            path="item",
        )
        if item.type == "function_call_output":
            self._require_call(item.wire["call_id"])
        context.conversation.insert(item, after=event.get("previous_item_id"))
        announce(context, item)
        self._hearing.listen(item)

    def retrieve(self, event: dict[str, Any]) -> None:
        """Give an item with its sound."""
        item = self._find(event, "retrieve", "retrieving")
        config = self._context.config
        audio = config.output_format if item.role == "assistant" else config.input_format
        # Where sound travels apart from the events, it is never in them.
        apart = self._context.output_audio is not None
        wire = item.to_wire(None if apart else audio)
        self._context.emit("conversation.item.retrieved", item=wire)

    def truncate(self, event: dict[str, Any]) -> None:
        """Cut what the caller did not hear of a spoken answer."""
        item = self._find(event, "truncate", "truncating")
        index, end = event["content_index"], event["audio_end_ms"]
        spoken = item.type == "message" and item.role == "assistant"
        if not spoken or not any(part.is_audio for part in item.parts):
            raise ProtocolError(
                "Only model output audio messages can be truncated.", "unsupported_content_type"
            )
        if index >= len(item.parts) or not item.parts[index].is_audio:
            raise ProtocolError(
                f"Item '{item.id}' has no audio content at index {index}.",
                "invalid_value",
                "content_index",
            )
        part = item.parts[index]
        if end > part.audio_ms:
            raise ProtocolError(
                f"Audio content of {part.audio_ms}ms is already shorter than {end}ms",
                "invalid_value",
                "audio_end_ms",
            )
        cut_off(self._context.emit, self._context.options, item, index, end)

    def delete(self, event: dict[str, Any]) -> None:
        """Take an item out of the conversation."""
        item = self._find(event, "delete", "deleting")
        self._context.conversation.delete(item.id)
        self._context.emit("conversation.item.deleted", item_id=item.id)

    def _find(self, event: dict[str, Any], verb: str, gerund: str) -> Item:
        item = self._context.conversation.get(event["item_id"])
        if item is None:
            raise no_such_item(verb, gerund, event["item_id"])
        return item

    def _require_call(self, call_id: str) -> None:
        calls = (item for item in self._context.conversation if item.type == "function_call")
        if all(call.wire["call_id"] != call_id for call in calls):
            raise ProtocolError(
                f"Tool call ID '{call_id}' not found in conversation.", "invalid_tool_call_id"
            )


def announce(context: CallContext, item: Item) -> None:
    """Tell that a finished item is in the conversation."""
    where = {"previous_item_id": context.conversation.previous_of(item), "item": item.to_wire()}
    context.emit("conversation.item.added", **where)
    context.emit("conversation.item.done", **where)
