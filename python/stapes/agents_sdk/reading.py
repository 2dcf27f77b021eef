"""What the server's events about items and words mean, as the SDK's events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents.realtime.items import RealtimeMessageItem
from agents.realtime.model_events import (
    RealtimeModelAudioDoneEvent,
    RealtimeModelErrorEvent,
    RealtimeModelInputAudioTimeoutTriggeredEvent,
    RealtimeModelInputAudioTranscriptionCompletedEvent,
    RealtimeModelItemDeletedEvent,
    RealtimeModelItemUpdatedEvent,
    RealtimeModelOutputTextDeltaEvent,
    RealtimeModelTranscriptDeltaEvent,
)
from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from agents.realtime.model_events import RealtimeModelEvent

__all__ = ["events_of", "is_sound"]

_SOUND = ('"response.output_audio.delta"', '"response.audio.delta"')
_TYPE_WITHIN = 256
"""The type of a server's event stands within this many characters, where sound is told by it."""

_STATUSES = ("in_progress", "completed", "incomplete")
_PART_TYPES = {"output_audio": "audio", "output_text": "text"}
"""Of the assistant's parts, as the SDK's history has them."""

_MESSAGE: TypeAdapter[Any] = TypeAdapter(RealtimeMessageItem)


def is_sound(text: str) -> bool:
    """Whether a server's event brings sound of an answer, which the core has read."""
    head = text[:_TYPE_WITHIN]
    return _SOUND[0] in head or _SOUND[1] in head


def events_of(event: Mapping[str, Any]) -> Iterator[RealtimeModelEvent]:
    """What a server's event means; nothing where it has no meaning to the SDK's session.

    Responses, calls, sound, interruptions and errors are not among it: the core tells of them.
    """
    if (read := _READ.get(str(event.get("type")))) is not None:
        yield from read(event)


def _text(event: Mapping[str, Any], key: str) -> str:
    value = event.get(key)
    return value if isinstance(value, str) else ""


def _number(event: Mapping[str, Any], key: str) -> int:
    value = event.get(key)
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        return 0


def _message(
    item: Mapping[str, Any], status: str, previous_item_id: str | None = None
) -> Iterator[RealtimeModelEvent]:
    """The item as the history has it; `status` where it states none."""
    content = [
        {**part, "type": _PART_TYPES.get(str(part.get("type")), part.get("type"))}
        for part in item.get("content") or []
        if isinstance(part, dict)
    ]
    stated = item.get("status")
    message = {
        "item_id": _text(item, "id"),
        "previous_item_id": previous_item_id,
        "type": "message",
        "role": item.get("role") or "assistant",
        "content": content,
        "status": stated if stated in _STATUSES else status,
    }
    try:
        yield RealtimeModelItemUpdatedEvent(item=_MESSAGE.validate_python(message))
    except ValidationError as error:
        yield RealtimeModelErrorEvent(error=error)


def _output_item(event: Mapping[str, Any]) -> Iterator[RealtimeModelEvent]:
    item = event.get("item")
    if isinstance(item, dict) and item.get("type") == "message":
        is_done = event.get("type") == "response.output_item.done"
        yield from _message(item, "completed" if is_done else "in_progress")


def _conversation_item(event: Mapping[str, Any]) -> Iterator[RealtimeModelEvent]:
    item = event.get("item")
    if isinstance(item, dict) and item.get("type") == "message":
        # Only the beta's event says it so that the history's order follows from it.
        created = event.get("type") == "conversation.item.created"
        yield from _message(item, "in_progress", event.get("previous_item_id") if created else None)


def _deleted(event: Mapping[str, Any]) -> Iterator[RealtimeModelEvent]:
    if item_id := _text(event, "item_id"):
        yield RealtimeModelItemDeletedEvent(item_id=item_id)


def _transcribed(event: Mapping[str, Any]) -> Iterator[RealtimeModelEvent]:
    if (item_id := _text(event, "item_id")) and isinstance(event.get("transcript"), str):
        yield RealtimeModelInputAudioTranscriptionCompletedEvent(
            item_id=item_id, transcript=event["transcript"]
        )


def _spoken(event: Mapping[str, Any]) -> Iterator[RealtimeModelEvent]:
    yield RealtimeModelTranscriptDeltaEvent(
        item_id=_text(event, "item_id"),
        delta=_text(event, "delta"),
        response_id=_text(event, "response_id"),
    )


def _written(event: Mapping[str, Any]) -> Iterator[RealtimeModelEvent]:
    yield RealtimeModelOutputTextDeltaEvent(
        item_id=_text(event, "item_id"),
        delta=_text(event, "delta"),
        response_id=_text(event, "response_id"),
    )


def _audio_done(event: Mapping[str, Any]) -> Iterator[RealtimeModelEvent]:
    yield RealtimeModelAudioDoneEvent(
        item_id=_text(event, "item_id"), content_index=_number(event, "content_index")
    )


def _timeout(event: Mapping[str, Any]) -> Iterator[RealtimeModelEvent]:
    yield RealtimeModelInputAudioTimeoutTriggeredEvent(
        item_id=_text(event, "item_id"),
        audio_start_ms=_number(event, "audio_start_ms"),
        audio_end_ms=_number(event, "audio_end_ms"),
    )


_READ: dict[str, Callable[[Mapping[str, Any]], Iterator[RealtimeModelEvent]]] = {
    "response.output_item.added": _output_item,
    "response.output_item.done": _output_item,
    "conversation.item.added": _conversation_item,
    "conversation.item.created": _conversation_item,
    "conversation.item.retrieved": _conversation_item,
    "conversation.item.deleted": _deleted,
    "conversation.item.input_audio_transcription.completed": _transcribed,
    "response.output_audio_transcript.delta": _spoken,
    "response.output_text.delta": _written,
    "response.output_audio.done": _audio_done,
    "input_audio_buffer.timeout_triggered": _timeout,
    # The names before GA.
    "response.audio_transcript.delta": _spoken,
    "response.text.delta": _written,
    "response.audio.done": _audio_done,
}
