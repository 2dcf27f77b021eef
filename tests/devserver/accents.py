"""The dialects that the tests speak, each as its provider's documentation has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

from dialect_client import WEATHER, Accent
from openai.types.beta.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator

Event = dict[str, Any]

_BETA_KINDS = {
    variant.model_fields["type"].annotation.__args__[0]: variant
    for variant in get_args(get_args(RealtimeServerEvent)[0])
}
_NOT_IN_THE_TYPES = {"object", "expires_at", "cached_tokens_details"}
"""What servers of the beta were seen to send besides."""


def check_beta(event: Event) -> None:
    """Fail unless the event fits `openai`'s own type of the beta, with nothing that it lacks."""
    model = _BETA_KINDS[event["type"]].model_validate_json(json.dumps(event))
    surplus = sorted(set(_surplus(model)) - _NOT_IN_THE_TYPES)
    assert not surplus, f"{event['type']} has fields that the type lacks: {surplus}"


def _surplus(value: Any) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from value.model_extra or ()
        for name in value.model_fields_set:
            yield from _surplus(getattr(value, name))
    elif isinstance(value, list):
        for element in value:
            yield from _surplus(element)


def check_azure(event: Event) -> None:
    """Fail on a key that neither the recorded events nor the reference have."""
    kind = event["type"]
    assert not kind.startswith(("response.output_audio", "response.output_text")), kind
    assert kind != "conversation.item.added"
    assert "event_id" in event
    if kind.startswith("session."):
        assert not event["session"].keys() - _AZURE_SESSION, event["session"].keys()


def check_qwen(event: Event) -> None:
    """Fail on what the documented events have not."""
    kind = event["type"]
    assert kind in _QWEN_EVENTS, kind
    surplus = event.keys() - {"type", "event_id", *_QWEN_EVENTS[kind]}
    assert not surplus, f"{kind}: {surplus}"


def check_xai(event: Event) -> None:
    """Fail on what the recorded events have not."""
    kind = event["type"]
    assert kind not in ("conversation.item.done", "rate_limits.updated"), kind
    assert not kind.startswith(("response.audio", "response.text")), kind
    assert kind == "session.created" or "previous_item_id" in event, kind
    if kind.startswith("response.output_item."):
        assert "content" not in event["item"]


_AZURE_SESSION = {
    "id",
    "object",
    "model",
    "modalities",
    "instructions",
    "voice",
    "input_audio_format",
    "output_audio_format",
    "input_audio_transcription",
    "input_audio_noise_reduction",
    "turn_detection",
    "tools",
    "tool_choice",
    "max_response_output_tokens",
    "temperature",
    "expires_at",
    "input_audio_sampling_rate",
    "animation",
    "input_audio_echo_cancellation",
    "avatar",
    "output_audio_timestamp_types",
    "truncation_strategy",
    "include",
}
_PIECE = ("response_id", "item_id", "output_index", "content_index")
_QWEN_EVENTS: dict[str, tuple[str, ...]] = {
    "error": ("error",),
    "session.created": ("session",),
    "session.updated": ("session",),
    "input_audio_buffer.speech_started": ("audio_start_ms", "item_id"),
    "input_audio_buffer.speech_stopped": ("audio_end_ms", "item_id"),
    "input_audio_buffer.committed": ("item_id",),
    "input_audio_buffer.cleared": (),
    "conversation.item.created": ("item",),
    "conversation.item.input_audio_transcription.completed": (
        "item_id",
        "content_index",
        "transcript",
    ),
    "conversation.item.input_audio_transcription.failed": ("item_id", "content_index", "error"),
    "response.created": ("response",),
    "response.done": ("response",),
    "response.text.delta": (*_PIECE, "delta"),
    "response.text.done": (*_PIECE, "text"),
    "response.audio.delta": (*_PIECE, "delta"),
    "response.audio.done": _PIECE,
    "response.audio_transcript.delta": (*_PIECE, "delta"),
    "response.audio_transcript.done": (*_PIECE, "transcript"),
    "response.output_item.added": ("response_id", "output_index", "item"),
    "response.output_item.done": ("response_id", "output_index", "item"),
    "response.content_part.added": (*_PIECE, "part"),
    "response.content_part.done": (*_PIECE, "part"),
    "response.function_call_arguments.delta": (*_PIECE[:3], "call_id", "delta"),
    "response.function_call_arguments.done": (*_PIECE[:3], "call_id", "name", "arguments"),
}

BETA = Accent(
    begins=["session.created", "conversation.created"],
    session={
        "instructions": "You are Harbour.",
        "modalities": ["text", "audio"],
        "voice": "sage",
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
        "tools": [{"type": "function", **WEATHER}],
        "tool_choice": "auto",
        "temperature": 0.7,
        "max_response_output_tokens": "inf",
    },
    check=check_beta,
)
AZURE = Accent(
    begins=["session.created"],
    session={
        "instructions": "You are Harbour.",
        "modalities": ["text", "audio"],
        "input_audio_format": "pcm16",
        "input_audio_sampling_rate": 16_000,
        "output_audio_format": "pcm16_16000hz",
        "input_audio_transcription": {"model": "azure-speech"},
        "turn_detection": {"type": "azure_semantic_vad", "silence_duration_ms": 400},
        "tools": [{"type": "function", **WEATHER}],
        "temperature": 0.7,
    },
    input_rate=16_000,
    output_rate=16_000,
    headers={"api-key": "key"},
    check=check_azure,
)
QWEN = Accent(
    begins=["session.created"],
    session={
        "instructions": "You are Harbour.",
        "modalities": ["text", "audio"],
        "voice": "Ethan",
        "input_audio_format": "pcm",
        "output_audio_format": "pcm",
        "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 400},
        "tools": [{"type": "function", "function": WEATHER}],
    },
    input_rate=16_000,
    check=check_qwen,
)
XAI = Accent(
    begins=["session.created", "conversation.created", "ping"],
    session={
        "instructions": "You are Harbour.",
        "voice": "eve",
        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 16_000},
                "transcription": {"model": "grok-transcribe"},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 48_000}},
        },
        "tools": [{"type": "function", **WEATHER}],
    },
    input_rate=16_000,
    output_rate=48_000,
    audio="response.output_audio",
    added="conversation.item.added",
    check=check_xai,
)
ACCENTS = {"beta": BETA, "azure": AZURE, "qwen": QWEN, "xai": XAI}
