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
ACCENTS = {"beta": BETA}
