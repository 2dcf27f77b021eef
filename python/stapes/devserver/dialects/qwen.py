"""Alibaba Cloud's Qwen-Omni-Realtime: the beta's names, nested tools, 16 kHz in and 24 kHz out.

Source: Alibaba Cloud Model Studio's pages of its client and server events (2025 and 2026) and the
package dashscope 2.0. No conversation with the service itself was at hand. Pictures
(`input_image_buffer`) are not here; `semantic_vad` is silence detection of its own timing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from stapes.devserver.dialects.flat import FlatDialect, modalities_of, require_modalities
from stapes.devserver.session.ids import Ids
from stapes.devserver.session.schema import (
    Check,
    anything,
    boolean,
    fields,
    listing,
    mapping,
    nullable,
    number,
    one_of,
    tagged,
    text,
)
from stapes.devserver.session.shapes import CLIENT_EVENTS, FUNCTION_TOOL, ITEMS, client_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stapes.devserver.session.dialect import Event

VOICE = "Cherry"
INPUT_RATE = 16_000
_string = text()
_is = {"type": anything}

# --- shapes --------------------------------------------------------------------------------------

_FUNCTION = tagged("type", {"function": FUNCTION_TOOL})


def _require_function(value: Any, path: str) -> None:
    """Accept the inner part of a nested function."""
    mapping(value, path)
    _FUNCTION({"type": "function", **value}, path)


_TURN_DETECTION = fields(
    {},
    {
        "type": one_of("server_vad", "semantic_vad"),
        "threshold": number(lowest=-1, highest=1),
        "prefix_padding_ms": number(lowest=0, highest=5_000, whole=True),
        "silence_duration_ms": number(lowest=200, highest=6_000, whole=True),
        "create_response": boolean,
        "interrupt_response": boolean,
    },
)
_SESSION = fields(
    {},
    {
        "modalities": require_modalities,
        "voice": _string,
        # `pcm16` and `pcm24` are the names that the pages of 2025 have.
        "input_audio_format": one_of("pcm", "pcm16"),
        "output_audio_format": one_of("pcm", "pcm24"),
        "instructions": _string,
        "smooth_output": nullable(boolean),
        "input_audio_transcription": nullable(
            fields({}, dict.fromkeys(("model", "language"), nullable(_string)))
        ),
        "turn_detection": nullable(_TURN_DETECTION),
        "tools": listing(
            tagged("type", {"function": fields({**_is, "function": _require_function}, {})})
        ),
        "enable_search": boolean,
        "search_options": mapping,
        "temperature": number(lowest=0, highest=2),
        "top_p": number(lowest=0, highest=1),
        "top_k": nullable(number(lowest=0, whole=True)),
        "max_tokens": number(lowest=1, highest=65_536, whole=True),
        "repetition_penalty": number(lowest=0),
        "presence_penalty": number(lowest=-2, highest=2),
        "seed": number(lowest=-1, highest=2**31 - 1, whole=True),
    },
)
_KNOWN = (
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
)
SHAPES: Check = tagged(
    "type",
    {
        **{name: CLIENT_EVENTS[name] for name in _KNOWN},
        "session.update": client_event({"session": _SESSION}),
        "conversation.item.create": client_event(
            {"item": tagged("type", {"function_call_output": ITEMS["function_call_output"]})}
        ),
        "response.create": client_event({}),
        "response.cancel": client_event({}),
    },
)

# --- the dialect ---------------------------------------------------------------------------------

_VAD: Event = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 800,
    "create_response": True,
    "interrupt_response": True,
}
_MODEL_OF_TRANSCRIPTS = {"model": "qwen3-asr-flash-realtime"}
_BEGINS: Event = {
    "type": "realtime",
    "audio": {
        "input": {"turn_detection": _VAD, "transcription": _MODEL_OF_TRANSCRIPTS},
        "output": {"voice": VOICE},
    },
}
_OWN: Event = {
    "input_audio_format": "pcm",
    "output_audio_format": "pcm",
    "input_audio_transcription": _MODEL_OF_TRANSCRIPTS,
    "turn_detection": _VAD,
    "enable_search": False,
    "search_options": {},
    "temperature": 0.9,
}
_LARGEST_ANSWER = 4_096
"""The most tokens that a response may have in the session."""


class Qwen(FlatDialect):
    """One connection of Qwen-Omni-Realtime."""

    formats: ClassVar[Mapping[str, Event]] = {
        name: {"type": "audio/pcm", "rate": 24_000} for name in ("pcm", "pcm16", "pcm24")
    }
    unsaid = frozenset(
        {
            "conversation.item.done",
            "rate_limits.updated",
            "input_audio_buffer.timeout_triggered",
            "conversation.item.input_audio_transcription.delta",
        }
    )
    also_ga = frozenset(
        {
            "input_audio_format",
            "output_audio_format",
            "input_audio_transcription",
            "turn_detection",
        }
    )

    def __init__(self) -> None:
        super().__init__(SHAPES, _BEGINS, _OWN)
        self.conversation_id = f"conv_{Ids().token}"
        self.sound.take(INPUT_RATE)

    def read_setting(self, name: str, value: Any) -> Any:
        """Return the value of a setting as the GA protocol has it."""
        match name, value:
            case "max_tokens", int():
                return min(value, _LARGEST_ANSWER)
            case "turn_detection", dict():
                whole = {**_VAD, **value, "type": "server_vad"}
                # Half of the range lies below zero, where everything is speech.
                return {**whole, "threshold": max(0.0, whole["threshold"])}
        return super().read_setting(name, value)

    def read_tool(self, tool: Event) -> Event:
        """Return a tool as the GA protocol has it."""
        return {"type": "function", **tool["function"]}

    def accept(self, asked: Event) -> None:
        """Take over settings of the dialect's own that the session has accepted."""
        told = dict(asked)
        if isinstance(told.get("turn_detection"), dict):
            told["turn_detection"] = {**_VAD, **told["turn_detection"]}
        if isinstance(told.get("input_audio_transcription"), dict):
            # The model is fixed.
            told["input_audio_transcription"] = {
                **_MODEL_OF_TRANSCRIPTS,
                **told["input_audio_transcription"],
            }
        super().accept(told)

    def write(self, event: Event) -> Iterable[Event | bytes]:
        """Return what a GA server event is on this wire."""
        for told in super().write(event):
            yield self._as_documented(told) if isinstance(told, dict) else told

    def write_session(self, session: Event) -> Event:
        """Return the effective configuration as this dialect has it."""
        limit = session["max_output_tokens"]
        return {
            "object": session["object"],
            "id": session["id"],
            "model": session["model"],
            "modalities": modalities_of(session),
            "instructions": session["instructions"],
            "voice": session["audio"]["output"]["voice"],
            "tools": [_nested(tool) for tool in session["tools"]],
            **({} if limit == "inf" else {"max_tokens": limit}),
            **self.own,
        }

    def write_response(self, response: Event) -> Event:
        """Return a response as this dialect has it."""
        told = {
            "id": response["id"],
            "object": response["object"],
            "conversation_id": response["conversation_id"],
            "status": response["status"],
            "modalities": modalities_of(response),
            "voice": response["audio"]["output"]["voice"],
            "output_audio_format": self.own["output_audio_format"],
            "output": [self.write_item(item) for item in response["output"]],
        }
        usage = response["usage"]
        if usage is not None:
            counts = ("text_tokens", "audio_tokens")
            read, wrote = usage["input_token_details"], usage["output_token_details"]
            told["usage"] = {
                **{name: usage[name] for name in ("total_tokens", "input_tokens", "output_tokens")},
                "input_tokens_details": {name: read[name] for name in counts},
                "output_tokens_details": {name: wrote[name] for name in counts},
            }
        if response["status_details"] is not None:
            told["status_details"] = response["status_details"]
        return told

    def _as_documented(self, event: Event) -> Event:
        """Leave out what the documented events have not, and name what they name otherwise."""
        match event["type"]:
            case "input_audio_buffer.committed" | "conversation.item.created":
                return _without(event, "previous_item_id")
            case "conversation.item.input_audio_transcription.completed":
                return _without(event, "usage")
            case "conversation.item.input_audio_transcription.failed":
                error = {name: event["error"][name] for name in ("code", "message", "param")}
                return {**_without(event, "event_id"), "error": error}
            case "response.output_item.done" if "content" in event["item"]:
                parts = [_written_out(part) for part in event["item"]["content"]]
                return {**event, "item": {**event["item"], "content": parts}}
            case "response.content_part.added" | "response.content_part.done":
                return {**event, "part": _written_out(event["part"])}
            case "error":
                return {**event, "error": _without(event["error"], "event_id")}
        return event


def _written_out(part: Event) -> Event:
    """Return a spoken part with its words in `text`: `transcript` is for `response.done` alone."""
    if part["type"] != "audio":
        return part
    return {"type": "audio", "text": part["transcript"]}


def _nested(tool: Event) -> Event:
    return {"type": "function", "function": _without(tool, "type")}


def _without(event: Event, name: str) -> Event:
    return {key: value for key, value in event.items() if key != name}
