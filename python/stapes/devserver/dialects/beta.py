"""The beta: the realtime API before the GA protocol, as OpenAI's reference has it.

Servers that copy the API and Azure's older address speak it still. Source: OpenAI's API reference
of the beta (the types `openai.types.beta.realtime` of openai-python are made from it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from stapes.devserver.dialects.flat import FlatDialect, modalities_of, require_modalities
from stapes.devserver.session.ids import Ids
from stapes.devserver.session.schema import (
    Check,
    anything,
    boolean,
    by_type,
    fields,
    listing,
    nullable,
    number,
    one_of,
    tagged,
    text,
)
from stapes.devserver.session.shapes import (
    CLIENT_EVENTS,
    FUNCTION_TOOL,
    ITEMS,
    METADATA,
    SYSTEM_CONTENT,
    TOKENS,
    TRACING,
    client_event,
    message,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stapes.devserver.session.dialect import Event

VOICE = "alloy"
TEMPERATURE = 0.8
_string = text()
_is = {"type": anything}

# --- shapes --------------------------------------------------------------------------------------

_responding = {"create_response": nullable(boolean), "interrupt_response": nullable(boolean)}
TURN_DETECTION = tagged(
    "type",
    {
        "server_vad": fields(
            _is,
            {
                "threshold": nullable(number(lowest=0, highest=1)),
                "prefix_padding_ms": nullable(number(lowest=0, highest=5_000, whole=True)),
                "silence_duration_ms": nullable(number(lowest=0, highest=10_000, whole=True)),
                **_responding,
            },
        ),
        "semantic_vad": fields(
            _is,
            {"eagerness": nullable(one_of("low", "medium", "high", "auto")), **_responding},
        ),
    },
)
_named_function = fields({"name": _string}, {})
TOOL_CHOICE = by_type(
    string=one_of("none", "auto", "required"),
    object=tagged(
        "type",
        {"function": fields(_is, {"name": _string, "function": _named_function})},
    ),
)
TOOLS = listing(tagged("type", {"function": FUNCTION_TOOL}), longest=128)
AUDIO_FORMAT = one_of("pcm16", "g711_ulaw", "g711_alaw")
_SETTINGS: dict[str, Check] = {
    "modalities": require_modalities,
    "instructions": _string,
    "voice": _string,
    "output_audio_format": AUDIO_FORMAT,
    "tools": TOOLS,
    "tool_choice": TOOL_CHOICE,
    "temperature": number(lowest=0.6, highest=1.2),
    "max_response_output_tokens": TOKENS,
}
_SESSION = fields(
    {},
    {
        **_SETTINGS,
        "model": _string,
        "input_audio_format": AUDIO_FORMAT,
        "input_audio_transcription": nullable(
            fields({}, dict.fromkeys(("model", "language", "prompt"), nullable(_string)))
        ),
        "input_audio_noise_reduction": nullable(
            fields({}, {"type": one_of("near_field", "far_field")})
        ),
        "turn_detection": nullable(TURN_DETECTION),
        "speed": number(lowest=0.25, highest=1.5),
        "tracing": nullable(TRACING),
    },
)
_USER_CONTENT = tagged(
    "type",
    {
        "input_text": fields({**_is, "text": _string}, {}),
        "input_audio": fields({**_is, "audio": _string}, {"transcript": nullable(_string)}),
    },
)
_ASSISTANT_CONTENT = tagged("type", {"text": fields({**_is, "text": _string}, {})})
_ITEMS = {
    "message": tagged(
        "role",
        {
            "user": message(_USER_CONTENT),
            "assistant": message(_ASSISTANT_CONTENT),
            "system": message(SYSTEM_CONTENT),
        },
    ),
    "function_call": ITEMS["function_call"],
    "function_call_output": ITEMS["function_call_output"],
}
_RESPONSE = fields(
    {},
    {
        **{name: nullable(check) for name, check in _SETTINGS.items()},
        # The reference has both names of it.
        "max_output_tokens": nullable(TOKENS),
        "conversation": nullable(one_of("auto", "none")),
        "input": nullable(
            listing(
                tagged("type", {**_ITEMS, "item_reference": fields({**_is, "id": _string}, {})})
            )
        ),
        "metadata": nullable(METADATA),
    },
)

SHAPES = tagged(
    "type",
    {
        **CLIENT_EVENTS,
        "session.update": client_event({"session": _SESSION}),
        "conversation.item.create": client_event(
            {"item": tagged("type", _ITEMS)}, {"previous_item_id": nullable(_string)}
        ),
        "response.create": client_event({}, {"response": nullable(_RESPONSE)}),
    },
)
_BEGINS: Event = {
    "type": "realtime",
    "audio": {
        "input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}},
        "output": {"voice": VOICE},
    },
}

# --- the dialect ---------------------------------------------------------------------------------


class Beta(FlatDialect):
    """One connection of the beta."""

    formats: ClassVar[Mapping[str, Event]] = {
        "pcm16": {"type": "audio/pcm", "rate": 24_000},
        "g711_ulaw": {"type": "audio/pcmu"},
        "g711_alaw": {"type": "audio/pcma"},
    }
    unsaid = frozenset({"conversation.item.done", "input_audio_buffer.timeout_triggered"})

    def __init__(self) -> None:
        super().__init__(SHAPES, _BEGINS, {"temperature": TEMPERATURE})
        self.conversation_id = f"conv_{Ids().token}"

    def read_setting(self, name: str, value: object) -> object:
        """Return the value of a setting as the GA protocol has it."""
        match name, value:
            case "tool_choice", {"type": "function", "function": {"name": named}}:
                return {"type": "function", "name": named}
        return super().read_setting(name, value)

    def write(self, event: Event) -> Iterable[Event | bytes]:
        """Return what a GA server event is on this wire."""
        said = super().write(event)
        if event["type"] == "response.function_call_arguments.done":
            return [_without(event, "name")]
        if event["type"] != "session.created":
            return said
        conversation = {"id": self.conversation_id, "object": "realtime.conversation"}
        begun = {"event_id": f"{event['event_id']}_0", "conversation": conversation}
        return [*said, {"type": "conversation.created", **begun}]

    def write_session(self, session: Event) -> Event:
        """Return the effective configuration as this dialect has it."""
        heard, spoken = session["audio"]["input"], session["audio"]["output"]
        reduced = heard["noise_reduction"]
        return {
            "id": session["id"],
            "object": session["object"],
            "model": session["model"],
            "expires_at": session["expires_at"],
            "modalities": modalities_of(session),
            "instructions": session["instructions"],
            "voice": spoken["voice"],
            "input_audio_format": self.format_name(heard["format"]),
            "output_audio_format": self.format_name(spoken["format"]),
            "input_audio_transcription": heard["transcription"],
            "input_audio_noise_reduction": reduced and {"type": reduced["type"]},
            "turn_detection": _turn_detection(heard["turn_detection"]),
            "tools": session["tools"],
            "tool_choice": session["tool_choice"],
            "temperature": self.own["temperature"],
            "max_response_output_tokens": session["max_output_tokens"],
            "speed": spoken["speed"],
            "tracing": session["tracing"],
        }

    def write_response(self, response: Event) -> Event:
        """Return a response as this dialect has it."""
        spoken = response["audio"]["output"]
        return {
            "object": response["object"],
            "id": response["id"],
            "status": response["status"],
            "status_details": response["status_details"],
            "output": [self.write_item(item) for item in response["output"]],
            "conversation_id": response["conversation_id"],
            "modalities": modalities_of(response),
            "voice": spoken["voice"],
            "output_audio_format": self.format_name(spoken["format"]),
            "temperature": self.own["temperature"],
            "max_output_tokens": response["max_output_tokens"],
            "usage": _usage(response["usage"]),
            "metadata": response["metadata"],
        }


def _turn_detection(ga: Event | None) -> Event | None:
    return None if ga is None else _without(ga, "idle_timeout_ms")


def _usage(ga: Event | None) -> Event | None:
    """Count what the beta counts: it knows no images."""
    if ga is None:
        return None
    read = ga["input_token_details"]
    kept = {name: read[name] for name in ("text_tokens", "audio_tokens", "cached_tokens")}
    cached = _without(read["cached_tokens_details"], "image_tokens")
    return {**ga, "input_token_details": {**kept, "cached_tokens_details": cached}}


def _without(ga: Event, name: str) -> Event:
    return {key: value for key, value in ga.items() if key != name}
