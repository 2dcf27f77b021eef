"""What a server sends in the turns of a conversation, with every field that the protocol has."""

from __future__ import annotations

import base64
from typing import Any

Frame = dict[str, Any]

USAGE = {
    "total_tokens": 90,
    "input_tokens": 60,
    "output_tokens": 30,
    "input_token_details": {
        "text_tokens": 40,
        "audio_tokens": 20,
        "image_tokens": 0,
        "cached_tokens": 10,
        "cached_tokens_details": {"text_tokens": 8, "audio_tokens": 2, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 5, "audio_tokens": 25},
}


def event(type_: str, **fields: Any) -> Frame:
    return {"type": type_, "event_id": f"event_{type_}", **fields}


def session(type_: str = "session.created", **config: Any) -> Frame:
    stated = {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess",
        "model": "gpt-realtime-2.1",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "ash"},
        },
    }
    return event(type_, session={**stated, **config})


def turn_detection(*, interrupts: bool) -> Frame:
    """The server states who cancels an answer when the user speaks."""
    detection = {"type": "server_vad", "interrupt_response": interrupts}
    return session(
        "session.updated",
        audio={
            "input": {"turn_detection": detection},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}},
        },
    )


def begins(response: str = "r") -> Frame:
    stated = {"id": response, "object": "realtime.response", "status": "in_progress", "output": []}
    return event("response.created", response=stated)


def ends(response: str = "r", status: str = "completed", **fields: Any) -> Frame:
    stated = {"id": response, "object": "realtime.response", "status": status, "output": []}
    return event("response.done", response={**stated, **fields})


def message(item: str, content: list[Any], **fields: Any) -> Frame:
    made = {"id": item, "object": "realtime.item", "type": "message", "role": "assistant"}
    return {**made, "content": content, "status": "completed", **fields}


def of_part(type_: str, response: str = "r", item: str = "i", **fields: Any) -> Frame:
    where = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    return event(type_, **{**where, **fields})


def item_added(item: str = "i", response: str = "r") -> Frame:
    made = message(item, [], status="in_progress")
    return event("response.output_item.added", response_id=response, output_index=0, item=made)


def item_done(item: str = "i", response: str = "r", text: str = "Hello there", **of: Any) -> Frame:
    made = message(item, [{"type": "output_audio", "transcript": text}], **of)
    return event("response.output_item.done", response_id=response, output_index=0, item=made)


def sound(ms: int, item: str = "i", response: str = "r", content_index: int = 0) -> Frame:
    delta = base64.b64encode(bytes(48 * ms)).decode()
    return of_part(
        "response.output_audio.delta", response, item, delta=delta, content_index=content_index
    )


def words(delta: str, item: str = "i", response: str = "r") -> Frame:
    return of_part("response.output_audio_transcript.delta", response, item, delta=delta)


def answer(item: str = "i", response: str = "r", ms: int = 400) -> list[Frame]:
    """A spoken answer, whole."""
    return [
        begins(response),
        item_added(item, response),
        words("Hello ", item, response),
        sound(ms // 2, item, response),
        words("there", item, response),
        sound(ms // 2, item, response),
        of_part("response.output_audio.done", response, item),
        of_part("response.output_audio_transcript.done", response, item, transcript="Hello there"),
        item_done(item, response),
        ends(response, usage=USAGE),
    ]


def call(call_id: str = "c", response: str = "r", name: str = "get_weather") -> Frame:
    item = {
        "id": f"item_{call_id}",
        "object": "realtime.item",
        "type": "function_call",
        "status": "completed",
        "name": name,
        "call_id": call_id,
        "arguments": '{"city": "Oslo"}',
    }
    return event("response.output_item.done", response_id=response, output_index=0, item=item)


def user_item(item: str, content: list[Any], type_: str = "conversation.item.added") -> Frame:
    made = message(item, content, role="user")
    return event(type_, previous_item_id=None, item=made)


def speech_starts() -> Frame:
    return event("input_audio_buffer.speech_started", audio_start_ms=0, item_id="u")


ERROR = event(
    "error",
    error={
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": "That is no value.",
        "param": "session.voice",
        "event_id": "mine",
    },
)
