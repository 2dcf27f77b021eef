"""Output items as they are generated: which events tell of them, and in which order.

Writers never wait. What they have begun they can always end, also halfway (`incomplete`).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from stapes.devserver.session.items import Item, Part, Status

if TYPE_CHECKING:
    from stapes.devserver.session.context import CallContext


class ItemWriter:
    """An output item of a response; it is in the conversation too unless the response is not."""

    def __init__(
        self,
        context: CallContext,
        item: Item,
        *,
        response_id: str,
        output_index: int,
        in_conversation: bool,
    ) -> None:
        self.item = item
        self._context = context
        self._where: dict[str, Any] = {"response_id": response_id, "output_index": output_index}
        self._in_conversation = in_conversation
        item.status = "in_progress"
        if in_conversation:
            context.conversation.insert(item)
        context.emit("response.output_item.added", **self._where, item=item.to_wire())
        self._tell("conversation.item.added")

    def end(self, status: Status) -> None:
        """Finish the item."""
        self.item.status = status
        self._tell("conversation.item.done")
        self._emit("response.output_item.done", item=self.item.to_wire())

    def _tell(self, type_: str) -> None:
        conversation = self._context.conversation
        if self._in_conversation and conversation.get(self.item.id) is self.item:
            previous = conversation.previous_of(self.item)
            self._context.emit(type_, previous_item_id=previous, item=self.item.to_wire())

    def _emit(self, type_: str, **fields: Any) -> None:
        self._context.emit(type_, **self._where, **fields)


class MessageWriter(ItemWriter):
    """An assistant message of one part, spoken or written."""

    def __init__(self, context: CallContext, item: Item, *, spoken: bool, **where: Any) -> None:
        super().__init__(context, item, **where)
        self._spoken = spoken
        kind = "output_audio" if spoken else "output_text"
        self.part = Part({"type": kind}, transcript="" if spoken else None)
        self._part_where = {"item_id": item.id, "content_index": 0}
        self._sent_text = ""
        item.parts.append(self.part)
        self._emit("response.content_part.added", **self._part_where, part=self._part_wire(""))

    def words(self, delta: str, *, spoken_at_ms: float | None = None) -> None:
        """Add words; spoken ones with the time at which they have been said."""
        self._sent_text += delta
        if self._spoken:
            if not self.part.cut:
                self.part.transcript = (self.part.transcript or "") + delta
                self.part.words.append((spoken_at_ms or 0.0, len(self.part.transcript)))
            kind = "response.output_audio_transcript.delta"
        else:
            self.part.text += delta
            kind = "response.output_text.delta"
        self._emit(kind, **self._part_where, delta=delta)

    def sound(self, pcm: bytes, encoded: bytes) -> None:
        """Add sound: `pcm` as the server keeps it and `encoded` as the client gets it."""
        if not self.part.cut:
            self.part.pcm.extend(pcm)
        output_audio = self._context.output_audio
        if output_audio is not None:
            output_audio.put(self._where["response_id"], self.item, pcm)
            return
        self._emit(
            "response.output_audio.delta",
            **self._part_where,
            delta=base64.b64encode(encoded).decode(),
        )

    def end(self, status: Status) -> None:
        """Finish the part and the item."""
        said = self._sent_text
        if self._spoken:
            self._emit("response.output_audio.done", **self._part_where)
            self._emit("response.output_audio_transcript.done", **self._part_where, transcript=said)
        else:
            self._emit("response.output_text.done", **self._part_where, text=said)
        self._emit("response.content_part.done", **self._part_where, part=self._part_wire(said))
        super().end(status)

    def _part_wire(self, text: str) -> dict[str, str]:
        if self._spoken:
            return {"type": "audio", "transcript": text}
        return {"type": "text", "text": text}


class CallWriter(ItemWriter):
    """A function call."""

    def arguments(self, delta: str) -> None:
        """Add a piece of the arguments' JSON text."""
        self.item.wire["arguments"] += delta
        self._emit("response.function_call_arguments.delta", **self._call_where, delta=delta)

    def end(self, status: Status) -> None:
        """Finish the arguments, if they are whole, and the item."""
        if status == "completed":
            self._emit(
                "response.function_call_arguments.done",
                **self._call_where,
                name=self.item.wire["name"],
                arguments=self.item.wire["arguments"],
            )
        super().end(status)

    @property
    def _call_where(self) -> dict[str, str]:
        return {"item_id": self.item.id, "call_id": self.item.wire["call_id"]}
