"""What a client of xAI's Voice Agent API may send."""

from __future__ import annotations

from typing import Any

from stapes.devserver.session.errors import ProtocolError
from stapes.devserver.session.schema import (
    Check,
    anything,
    boolean,
    by_type,
    fields,
    listing,
    mapping,
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
    SYSTEM_CONTENT,
    client_event,
    message,
)

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
_string = text()
_is = {"type": anything}
_any_text = nullable(_string)


def _require_rate(value: Any, path: str) -> None:
    number(whole=True)(value, path)
    one_of(*map(str, RATES))(str(value), path)


def _require_audio(value: Any, path: str) -> None:
    """Accept modalities that sound is among: answers are never text alone."""
    listing(one_of("text", "audio"))(value, path)
    if "audio" not in value:
        raise ProtocolError(
            f"Invalid modalities: {value}. Text output without audio is not supported.",
            "invalid_value",
            path,
        )


def _require_turn_detection(value: Any, path: str) -> None:
    mapping(value, path)
    nullable(one_of("server_vad"))(value.get("type"), f"{path}.type")
    _TURN_DETECTION(value, path)


_TURN_DETECTION = fields(
    {},
    {
        "type": anything,
        "threshold": nullable(number(lowest=0.1, highest=0.9)),
        "prefix_padding_ms": nullable(number(lowest=0, highest=5_000, whole=True)),
        "silence_duration_ms": nullable(number(lowest=0, highest=10_000, whole=True)),
        "idle_timeout_ms": nullable(number(lowest=5_000, highest=30_000, whole=True)),
        "create_response": nullable(boolean),
        "interrupt_response": nullable(boolean),
    },
)
_FORMAT = tagged(
    "type",
    {
        "audio/pcm": fields(_is, {"rate": _require_rate}),
        "audio/pcmu": fields(_is, {"rate": number(lowest=8_000, highest=8_000, whole=True)}),
        "audio/pcma": fields(_is, {"rate": number(lowest=8_000, highest=8_000, whole=True)}),
    },
)
_TRANSPORT = one_of("json", "binary")
_AUDIO = fields(
    {},
    {
        "input": fields(
            {},
            {
                "format": _FORMAT,
                "transport": _TRANSPORT,
                "transcription": nullable(
                    fields(
                        {},
                        {
                            "model": _any_text,
                            "language_hint": _any_text,
                            "keyterms": nullable(listing(text(longest=50), longest=100)),
                        },
                    )
                ),
            },
        ),
        "output": fields(
            {},
            {
                "format": _FORMAT,
                "transport": _TRANSPORT,
                "speed": number(lowest=0.7, highest=1.5),
            },
        ),
    },
)


def _require_hosted(value: Any, path: str) -> None:
    """Accept a tool that the provider runs."""
    mapping(value, path)


_TOOLS = listing(
    tagged(
        "type",
        {
            "function": FUNCTION_TOOL,
            **dict.fromkeys(("web_search", "x_search", "file_search", "mcp"), _require_hosted),
        },
    ),
    longest=128,
)
_SESSION = fields(
    {},
    {
        "instructions": _string,
        "voice": _string,
        "modalities": _require_audio,
        "turn_detection": nullable(_require_turn_detection),
        "audio": _AUDIO,
        "tools": _TOOLS,
        "tool_choice": by_type(
            string=one_of("none", "auto", "required"),
            object=tagged("type", {"function": fields({**_is, "name": _string}, {})}),
        ),
        "reasoning": fields({}, {"effort": one_of("high", "none")}),
        "resumption": fields({}, {"enabled": boolean}),
        "replace": mapping,
    },
)
_USER_CONTENT = tagged(
    "type",
    {
        "input_text": fields({**_is, "text": _string}, {}),
        "input_audio": fields({**_is, "audio": _string}, {"transcript": _any_text}),
    },
)
_ANSWERED = tagged(
    "type", dict.fromkeys(("text", "output_text"), fields({**_is, "text": _string}, {}))
)
_MESSAGE = tagged(
    "role",
    {
        "user": message(_USER_CONTENT),
        "assistant": message(_ANSWERED),
        "system": message(SYSTEM_CONTENT),
    },
)
_ITEM = tagged(
    "type",
    {
        "message": _MESSAGE,
        "function_call": ITEMS["function_call"],
        "function_call_output": ITEMS["function_call_output"],
    },
)
_KNOWN = (
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "conversation.item.delete",
)
SHAPES: Check = tagged(
    "type",
    {
        **{name: CLIENT_EVENTS[name] for name in _KNOWN},
        "session.update": client_event({"session": _SESSION}),
        "conversation.item.create": client_event({"item": _ITEM}, {"previous_item_id": _any_text}),
        "response.create": client_event(
            {},
            {
                "response": nullable(
                    fields(
                        {},
                        {"modalities": nullable(_require_audio), "instructions": _any_text},
                    )
                )
            },
        ),
        "response.cancel": client_event({}),
    },
)
