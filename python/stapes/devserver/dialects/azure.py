"""Azure Voice Live: the beta's names and a flat session, with settings of its own.

Source: Microsoft's reference of Voice Live (the models of the package azure-ai-voicelive 1.3 are
made from it) and recorded conversations of July 2026. Its `azure_semantic_vad` is silence detection
of its own timing here: nothing understands the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from stapes.devserver.dialects import beta
from stapes.devserver.dialects.flat import FlatDialect, modalities_of
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
    INPUT_ITEM,
    ITEMS,
    METADATA,
    SYSTEM_CONTENT,
    TOKENS,
    TOOLS,
    USER_CONTENT,
    client_event,
    message,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stapes.devserver.session.dialect import Event

_string = text()
_is = {"type": anything}
_any_text = nullable(_string)
_switch = nullable(boolean)
_milliseconds = nullable(number(lowest=0, highest=10_000, whole=True))
_padding = nullable(number(lowest=0, highest=5_000, whole=True))

# --- shapes --------------------------------------------------------------------------------------

_END_OF_UTTERANCE = nullable(
    fields(
        {"model": _string},
        {
            "threshold_level": nullable(one_of("low", "medium", "high", "default")),
            "threshold": nullable(number(lowest=0, highest=1)),
            "timeout_ms": _milliseconds,
            "timeout": nullable(number(lowest=0)),
        },
    )
)
_SERVER_VAD = {
    "threshold": nullable(number(lowest=0, highest=1)),
    "prefix_padding_ms": _padding,
    "silence_duration_ms": _milliseconds,
    "speech_duration_ms": _milliseconds,
    "idle_timeout_ms": nullable(number(lowest=5_000, highest=30_000, whole=True)),
    "end_of_utterance_detection": _END_OF_UTTERANCE,
    "auto_truncate": _switch,
    "appended_text_after_truncation": _any_text,
    "create_response": _switch,
    "interrupt_response": _switch,
}
_AZURE_VAD = {
    **_SERVER_VAD,
    "remove_filler_words": _switch,
    "languages": nullable(listing(_string)),
}
_TURN_DETECTION = tagged(
    "type",
    {
        "server_vad": fields(_is, _SERVER_VAD),
        "semantic_vad": fields(
            _is,
            {
                "eagerness": nullable(one_of("low", "medium", "high", "auto")),
                "create_response": _switch,
                "interrupt_response": _switch,
            },
        ),
        **dict.fromkeys(
            ("azure_semantic_vad", "azure_semantic_vad_en", "azure_semantic_vad_multilingual"),
            fields(_is, _AZURE_VAD),
        ),
    },
)
_VOICE = by_type(
    string=_string,
    object=tagged(
        "type",
        {
            "openai": fields({**_is, "name": _string}, {}),
            **dict.fromkeys(
                ("azure-standard", "azure-custom", "azure-personal"),
                fields(
                    {**_is, "name": _string},
                    dict.fromkeys(
                        (
                            "temperature",
                            "custom_lexicon_url",
                            "custom_text_normalization_url",
                            "prefer_locales",
                            "locale",
                            "style",
                            "pitch",
                            "rate",
                            "volume",
                            "endpoint_id",
                            "model",
                        ),
                        anything,
                    ),
                ),
            ),
        },
    ),
)
_TOOL_CHOICE = by_type(
    string=one_of("none", "auto", "required"),
    object=tagged("type", {"function": fields({**_is, "name": _string}, {})}),
)
_MODALITIES = listing(one_of("text", "audio", "animation", "avatar"))
_EFFORT = nullable(one_of("none", "minimal", "low", "medium", "high", "xhigh"))
_SESSION = fields(
    {},
    {
        "model": _string,
        "modalities": _MODALITIES,
        "instructions": _string,
        "voice": _VOICE,
        "input_audio_format": one_of("pcm16", "g711_ulaw", "g711_alaw"),
        "input_audio_sampling_rate": by_type(number=number(whole=True)),
        "output_audio_format": one_of(
            "pcm16", "pcm16_8000hz", "pcm16_16000hz", "g711_ulaw", "g711_alaw"
        ),
        "input_audio_transcription": nullable(
            fields(
                {},
                {
                    **dict.fromkeys(("model", "language", "prompt"), _any_text),
                    "custom_speech": nullable(mapping),
                    "phrase_list": nullable(listing(_string)),
                },
            )
        ),
        "input_audio_noise_reduction": nullable(
            fields({"type": one_of("near_field", "far_field", "azure_deep_noise_suppression")}, {})
        ),
        "input_audio_echo_cancellation": nullable(mapping),
        "turn_detection": nullable(_TURN_DETECTION),
        "tools": TOOLS,
        "tool_choice": _TOOL_CHOICE,
        "parallel_tool_calls": boolean,
        "temperature": number(lowest=0, highest=1.2),
        "max_response_output_tokens": TOKENS,
        "reasoning_effort": _EFFORT,
        "animation": nullable(mapping),
        "avatar": nullable(mapping),
        "output_audio_timestamp_types": nullable(listing(one_of("word"))),
        "interim_response": nullable(mapping),
        "include": nullable(listing(_string)),
        "metadata": nullable(METADATA),
    },
)
_RESPONSE = fields(
    {},
    {
        "modalities": nullable(_MODALITIES),
        "instructions": _any_text,
        "voice": nullable(_VOICE),
        "output_audio_format": nullable(beta.AUDIO_FORMAT),
        "tools": nullable(TOOLS),
        "tool_choice": nullable(_TOOL_CHOICE),
        "temperature": nullable(number(lowest=0, highest=1.2)),
        "max_output_tokens": nullable(TOKENS),
        "reasoning_effort": _EFFORT,
        "conversation": nullable(one_of("auto", "none")),
        "input_items": nullable(listing(INPUT_ITEM)),
        "metadata": nullable(METADATA),
    },
)
_ANSWERED = tagged(
    "type", dict.fromkeys(("text", "output_text"), fields({**_is, "text": _string}, {}))
)
_MESSAGE = tagged(
    "role",
    {
        "user": message(USER_CONTENT),
        "assistant": message(_ANSWERED),
        "system": message(SYSTEM_CONTENT),
    },
)
SHAPES: Check = tagged(
    "type",
    {
        **CLIENT_EVENTS,
        "session.update": client_event({"session": _SESSION}),
        "conversation.item.create": client_event(
            {"item": tagged("type", {**ITEMS, "message": _MESSAGE})},
            {"previous_item_id": _any_text},
        ),
        "response.create": client_event({}, {"response": nullable(_RESPONSE)}),
    },
)

# --- the dialect ---------------------------------------------------------------------------------

_VAD: Event = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "create_response": True,
    "interrupt_response": True,
    "idle_timeout_ms": None,
    "speech_duration_ms": None,
    "end_of_utterance_detection": None,
    "auto_truncate": False,
    "appended_text_after_truncation": None,
}
_ASKED_VAD = {**_VAD, "prefix_padding_ms": 400, "silence_duration_ms": 500}
"""What a turn detection that is asked for has by default, in the recorded conversations."""
_GA_VAD = ("threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms")
_RESPONDING = ("create_response", "interrupt_response")
_BEGINS: Event = {
    "type": "realtime",
    "audio": {
        "input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}},
        "output": {"voice": beta.VOICE},
    },
}
_OWN: Event = {
    "modalities": ["audio"],
    "voice": {"name": beta.VOICE, "type": "openai"},
    "input_audio_format": "pcm16",
    "input_audio_sampling_rate": 24_000,
    "output_audio_format": None,
    "input_audio_transcription": None,
    "input_audio_noise_reduction": None,
    "input_audio_echo_cancellation": None,
    "turn_detection": _VAD,
    "temperature": None,
    "animation": None,
    "avatar": None,
    "output_audio_timestamp_types": None,
    "truncation_strategy": None,
    "include": None,
}
_HIDDEN = frozenset({"reasoning_effort", "interim_response", "metadata"})
"""Settings that are accepted and that no recorded session has told of."""
_RATES = {"pcm16": 24_000, "pcm16_8000hz": 8_000, "pcm16_16000hz": 16_000}


class VoiceLive(FlatDialect):
    """One connection of Azure Voice Live."""

    formats: ClassVar[Mapping[str, Event]] = {
        "pcm16": {"type": "audio/pcm", "rate": 24_000},
        "pcm16_8000hz": {"type": "audio/pcm", "rate": 24_000},
        "pcm16_16000hz": {"type": "audio/pcm", "rate": 24_000},
        "g711_ulaw": {"type": "audio/pcmu"},
        "g711_alaw": {"type": "audio/pcma"},
    }
    unsaid = frozenset({"rate_limits.updated"})
    also_ga = frozenset(
        {
            "modalities",
            "voice",
            "input_audio_format",
            "output_audio_format",
            "input_audio_transcription",
            "input_audio_noise_reduction",
            "turn_detection",
        }
    )

    def __init__(self) -> None:
        super().__init__(SHAPES, _BEGINS, _OWN, _HIDDEN)

    def read(self, event: Event) -> Iterable[Event]:
        """Return the GA events that a client event stands for.

        Raises:
            ProtocolError: the dialect does not know it so.
        """
        read = super().read(event)
        if event["type"] == "session.update":
            self._check_rate()
        return read

    def read_setting(self, name: str, value: Any) -> Any:
        """Return the value of a setting as the GA protocol has it."""
        match name, value:
            case "voice", dict():
                return value["name"]
            case "input_audio_transcription", dict():
                return {n: v for n, v in value.items() if n in ("model", "language", "prompt")}
            case "input_audio_noise_reduction", {"type": "azure_deep_noise_suppression"}:
                return {"type": "far_field"}
            case "turn_detection", {"type": "semantic_vad"}:
                return value
            case "turn_detection", dict():
                whole = {**_ASKED_VAD, **_said(value)}
                kept = {n: whole[n] for n in (*_GA_VAD, *_RESPONDING)}
                return {"type": "server_vad", **kept}
        return super().read_setting(name, value)

    def read_response(self, asked: Event) -> Event:
        """Return the settings of a response as the GA protocol names them."""
        renamed = {"input_items": "input"}
        return {
            renamed.get(name, name): value
            for name, value in asked.items()
            if name != "reasoning_effort"
        }

    def accept(self, asked: Event) -> None:
        """Take over settings of the dialect's own that the session has accepted."""
        told = dict(asked)
        if isinstance(told.get("voice"), str):
            told["voice"] = {"name": told["voice"], "type": "openai"}
        if isinstance(told.get("input_audio_transcription"), dict):
            names = ("model", "language", "prompt", "custom_speech", "phrase_list")
            told["input_audio_transcription"] = {
                **dict.fromkeys(names),
                **told["input_audio_transcription"],
            }
        detection = told.get("turn_detection")
        if isinstance(detection, dict) and detection["type"] != "semantic_vad":
            told["turn_detection"] = {**_ASKED_VAD, **_said(detection)}
        super().accept(told)
        is_pcm = self.own["input_audio_format"] == "pcm16"
        self.sound.take(self.own["input_audio_sampling_rate"] if is_pcm else None)
        self.sound.output_rate = _RATES.get(self.own["output_audio_format"] or "pcm16")

    def write(self, event: Event) -> Iterable[Event | bytes]:
        """Return what a GA server event is on this wire."""
        match event:
            # Only the user's spoken turns were seen to be told of twice.
            case {"type": "conversation.item.done", "item": {"content": [{"type": "input_audio"}]}}:
                pass
            case {"type": "conversation.item.done"}:
                return []
            case {"type": "conversation.item.input_audio_transcription.completed"}:
                event = {name: value for name, value in event.items() if name != "usage"}
        return super().write(event)

    def write_session(self, session: Event) -> Event:
        """Return the effective configuration as this dialect has it."""
        return {
            "id": session["id"],
            "object": session["object"],
            "model": session["model"],
            "instructions": session["instructions"],
            "tools": session["tools"],
            "tool_choice": session["tool_choice"],
            "max_response_output_tokens": session["max_output_tokens"],
            "expires_at": session["expires_at"],
            **self.own,
        }

    def write_response(self, response: Event) -> Event:
        """Return a response as this dialect has it."""
        kept = ("object", "id", "status", "status_details", "usage", "conversation_id", "metadata")
        return {
            **{name: response[name] for name in kept},
            "output": [self.write_item(item) for item in response["output"]],
            "modalities": modalities_of(response),
            "voice": self.own["voice"],
            "output_audio_format": self.own["output_audio_format"] or "pcm16",
            "temperature": self.own["temperature"],
            "max_output_tokens": response["max_output_tokens"],
        }

    def _check_rate(self) -> None:
        whole = {**self.own, **self.asked}
        possible = (8_000, 16_000, 24_000) if whole["input_audio_format"] == "pcm16" else (8_000,)
        if "input_audio_sampling_rate" in self.asked:
            rate = str(whole["input_audio_sampling_rate"])
            one_of(*map(str, possible))(rate, "session.input_audio_sampling_rate")


def _said(patch: Event) -> Event:
    return {name: value for name, value in patch.items() if value is not None}
