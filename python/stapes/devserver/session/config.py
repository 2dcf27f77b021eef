"""The effective configuration of a session: defaults, partial updates, what it means for audio."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from stapes.devserver.audio.formats import AudioFormat
from stapes.devserver.session.errors import ProtocolError

if TYPE_CHECKING:
    from stapes.devserver.options import Options

DEFAULT_INSTRUCTIONS = (
    "You are a friendly voice assistant of a development server. Answer briefly and plainly."
)
_PCM = {"type": "audio/pcm", "rate": 24_000}
_SERVER_VAD: dict[str, Any] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD: dict[str, Any] = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_SILENCE_MS = {"low": 1_400, "medium": 800, "auto": 800, "high": 400}
"""`semantic_vad` is silence detection of another patience here: nothing understands the words."""


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """How turns are detected in the input audio."""

    threshold: float
    prefix_padding_ms: int
    silence_duration_ms: int
    idle_timeout_ms: int | None
    create_response: bool
    interrupt_response: bool


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """One version of a session's configuration, whole and wire-shaped. Never changed in place."""

    wire: dict[str, Any] = field(repr=False)
    model_is_fixed: bool

    @classmethod
    def initial(
        cls, *, session_id: str, model: str | None, voice: str, default_model: str, expires_at: int
    ) -> SessionConfig:
        """Return the defaults; a `model` of the connection cannot be changed later."""
        wire = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model or default_model,
            "output_modalities": ["audio"],
            "instructions": DEFAULT_INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": expires_at,
            "audio": {
                "input": {
                    "format": dict(_PCM),
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": dict(_SERVER_VAD),
                },
                "output": {"format": dict(_PCM), "voice": voice, "speed": 1.0},
            },
            "include": None,
        }
        return cls(wire, model_is_fixed=model is not None)

    def updated(self, patch: dict[str, Any], *, voice_is_fixed: bool) -> SessionConfig:
        """Return this configuration with the fields of a validated `patch` changed.

        Raises:
            ProtocolError: the patch changes the model, or the voice after it was heard.
        """
        wire = copy.deepcopy(self.wire)
        if self.model_is_fixed and patch.get("model", wire["model"]) != wire["model"]:
            raise ProtocolError(
                f"The model of a session cannot be changed: this one runs '{wire['model']}'.",
                "invalid_value",
                "session.model",
            )
        audio = patch.get("audio") or {}
        voice = audio.get("output", {}).get("voice", wire["audio"]["output"]["voice"])
        if voice_is_fixed and voice_name(voice) != wire["audio"]["output"]["voice"]:
            raise ProtocolError(
                "Cannot update a conversation's voice if assistant audio is present.",
                "cannot_update_voice",
            )
        for name, value in copy.deepcopy(patch).items():
            match name:
                case "audio":
                    _merge_audio(wire["audio"], value)
                case "tools":
                    wire["tools"] = [_whole_tool(tool) for tool in value]
                case _:
                    wire[name] = value
        return SessionConfig(wire, self.model_is_fixed or "model" in patch)

    @property
    def instructions(self) -> str:
        """The system instructions."""
        return str(self.wire["instructions"])

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools, wire-shaped."""
        return list(self.wire["tools"])

    @property
    def input_format(self) -> AudioFormat:
        """The format of appended audio."""
        return AudioFormat.of(self.wire["audio"]["input"]["format"])

    @property
    def output_format(self) -> AudioFormat:
        """The format of spoken audio."""
        return AudioFormat.of(self.wire["audio"]["output"]["format"])

    @property
    def transcription(self) -> dict[str, Any] | None:
        """Configuration of input transcription, or `None` when it is off."""
        transcription: dict[str, Any] | None = self.wire["audio"]["input"]["transcription"]
        return transcription

    @property
    def wants_logprobs(self) -> bool:
        """Whether transcripts tell how sure the server is of each word."""
        return "item.input_audio_transcription.logprobs" in (self.wire.get("include") or ())

    @property
    def turn_detection(self) -> TurnDetection | None:
        """How turns are detected, or `None` when the client commits them."""
        wire = self.wire["audio"]["input"]["turn_detection"]
        if wire is None:
            return None
        semantic = wire["type"] == "semantic_vad"
        wire = {**(_SEMANTIC_VAD if semantic else _SERVER_VAD), **wire}
        timing = _SERVER_VAD if semantic else wire
        return TurnDetection(
            threshold=timing["threshold"],
            prefix_padding_ms=timing["prefix_padding_ms"],
            silence_duration_ms=(
                _SEMANTIC_SILENCE_MS[wire["eagerness"]]
                if semantic
                else timing["silence_duration_ms"]
            ),
            idle_timeout_ms=timing["idle_timeout_ms"],
            create_response=wire["create_response"],
            interrupt_response=wire["interrupt_response"],
        )


SessionKind = Literal["realtime", "transcription", "translation"]
"""A conversation, or speech that is written down, or that is spoken in another language."""


def initial_config(
    kind: SessionKind, session_id: str, model: str | None, options: Options
) -> SessionConfig:
    """Return the configuration that a session begins with."""
    expires_at = int(time.time() + options.max_session_seconds)
    match kind:
        case "transcription":
            return TranscriptionConfig.begin(session_id=session_id, expires_at=expires_at)
        case "translation":
            return TranslationConfig.begin_with(
                session_id=session_id, model=model or "", expires_at=expires_at
            )
    return SessionConfig.initial(
        session_id=session_id,
        model=model,
        voice=options.default_voice,
        default_model=options.default_model or "",
        expires_at=expires_at,
    )


_BY_HAND = {"gpt-live-transcribe", "gpt-realtime-whisper"}
"""Models of which a session of transcription detects no turns."""


_ABOUT_ANSWERS = {"idle_timeout_ms", "create_response", "interrupt_response"}


def _of_transcription(detection: dict[str, Any]) -> dict[str, Any]:
    """Return turn detection without what is about answers, of which there are none."""
    return {name: value for name, value in detection.items() if name not in _ABOUT_ANSWERS}


@dataclass(frozen=True)
class TranscriptionConfig(SessionConfig):
    """The same of a session of transcription, which answers nobody."""

    @classmethod
    def begin(cls, *, session_id: str, expires_at: int) -> TranscriptionConfig:
        """Return the defaults."""
        heard = {
            "format": dict(_PCM),
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": _of_transcription(_SERVER_VAD),
        }
        wire = {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": session_id,
            "expires_at": expires_at,
            "audio": {"input": heard},
            "include": None,
        }
        return cls(wire, model_is_fixed=True)

    def updated(self, patch: dict[str, Any], *, voice_is_fixed: bool) -> TranscriptionConfig:
        """Return this configuration with the fields of a validated `patch` changed.

        Raises:
            ProtocolError: turns are to be detected for a model with which that cannot be.
        """
        wire = copy.deepcopy(self.wire)
        asked = copy.deepcopy(patch)
        _merge_audio(wire["audio"], asked.get("audio", {}))
        wire["include"] = asked.get("include", wire["include"])
        heard = wire["audio"]["input"]
        if (heard["transcription"] or {}).get("model") in _BY_HAND:
            if asked.get("audio", {}).get("input", {}).get("turn_detection") is not None:
                raise ProtocolError(
                    "Turn detection is not supported for this transcription model.",
                    "invalid_value",
                    "session.audio.input.turn_detection",
                )
            heard["turn_detection"] = None
        if heard["turn_detection"] is not None:
            heard["turn_detection"] = _of_transcription(heard["turn_detection"])
        return TranscriptionConfig(wire, self.model_is_fixed)

    @property
    def instructions(self) -> str:
        """None."""
        return ""

    @property
    def tools(self) -> list[dict[str, Any]]:
        """None."""
        return []

    @property
    def turn_detection(self) -> TurnDetection | None:
        """How turns are detected, or `None` when the client commits them."""
        detection = super().turn_detection
        if detection is None:
            return None
        return replace(detection, create_response=False, interrupt_response=False)


@dataclass(frozen=True)
class TranslationConfig(TranscriptionConfig):
    """The same of a session of translation."""

    @classmethod
    def begin_with(cls, *, session_id: str, model: str, expires_at: int) -> TranslationConfig:
        """Return the defaults."""
        wire = {
            "type": "translation",
            "id": session_id,
            "model": model,
            "expires_at": expires_at,
            "audio": {
                "input": {"transcription": None, "noise_reduction": None},
                "output": {"language": None},
            },
        }
        return cls(wire, model_is_fixed=True)

    def updated(self, patch: dict[str, Any], *, voice_is_fixed: bool) -> TranslationConfig:
        """Return this configuration with the fields of a validated `patch` changed."""
        wire = copy.deepcopy(self.wire)
        for direction, changes in copy.deepcopy(patch).get("audio", {}).items():
            wire["audio"][direction] |= changes
        return TranslationConfig(wire, self.model_is_fixed)

    @property
    def language(self) -> str | None:
        """Into which it is translated."""
        language: str | None = self.wire["audio"]["output"]["language"]
        return language

    @property
    def input_format(self) -> AudioFormat:
        """PCM at 24 kHz alone."""
        return AudioFormat.of(_PCM)

    @property
    def turn_detection(self) -> TurnDetection | None:
        """None: there are no turns."""
        return None


def _merge_audio(wire: dict[str, Any], patch: dict[str, Any]) -> None:
    for direction, changes in patch.items():
        for name, value in changes.items():
            current = wire[direction][name]
            match name:
                case "format":
                    wire[direction][name] = {**_PCM, **value} if _is_pcm(value) else value
                case "turn_detection" if value is not None:
                    wire[direction][name] = _merge_turn_detection(current, value)
                case "transcription" if value is not None:
                    whole = {"model": None, "language": None, "prompt": None}
                    wire[direction][name] = {**(current or whole), **value}
                case "noise_reduction" if value is not None:
                    wire[direction][name] = {**(current or {"strength": 1.0}), **value}
                case "voice":
                    wire[direction][name] = voice_name(value)
                case _:
                    wire[direction][name] = value


def _merge_turn_detection(current: dict[str, Any] | None, patch: dict[str, Any]) -> dict[str, Any]:
    """Fill what the patch leaves out from the current settings of that kind, else the defaults."""
    defaults = _SERVER_VAD if patch["type"] == "server_vad" else _SEMANTIC_VAD
    same = current is not None and current["type"] == patch["type"]
    base = current if same and current is not None else defaults
    said = {
        name: value for name, value in patch.items() if value is not None or name.endswith("out_ms")
    }
    return {**base, **said}


def voice_name(voice: str | dict[str, Any]) -> str:
    """Return the name of a voice, or the id of a custom one."""
    return str(voice["id"]) if isinstance(voice, dict) else voice


def _is_pcm(value: dict[str, Any]) -> bool:
    return bool(value["type"] == "audio/pcm")


def _whole_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a function tool with all its fields, as the provider echoes it."""
    if tool["type"] != "function":
        return tool
    return {"description": None, "parameters": None, **tool}
