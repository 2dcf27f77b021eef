"""The provider's configuration of a session, in the provider's names, typed and checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, TypedDict

from stapes import _core

__all__ = [
    "AudioConfig",
    "AudioFormat",
    "CustomVoice",
    "InputAudioConfig",
    "NoiseReduction",
    "OutputAudioConfig",
    "Reasoning",
    "SemanticVad",
    "ServerVad",
    "SessionConfig",
    "Transcription",
    "check_config",
    "check_turn_detection",
    "whole_number",
    "wire_format",
]


class FormatObject(TypedDict, total=False):
    """An audio format as the wire writes it."""

    type: Literal["audio/pcm", "audio/l16", "audio/pcmu", "audio/pcma"]
    rate: int


AudioFormat: TypeAlias = FormatObject | Literal["pcm16", "g711_ulaw", "g711_alaw"]
"""A format, or a short name of one: PCM at 24 kHz, mu-law, A-law."""


class NoiseReduction(TypedDict, total=False):
    """How the provider cleans the user's sound."""

    type: Literal["near_field", "far_field"]
    """For a headset (`near_field`), or a microphone in the room (`far_field`)."""
    strength: float
    """0 to 1, which is the default."""


class Transcription(TypedDict, total=False):
    """What transcribes the user's speech. Which keys a model takes, its page says."""

    model: str
    """Such as `gpt-realtime-whisper`."""
    language: str
    """ISO 639-1, such as `en`."""
    languages: list[str]
    """Those that may be spoken, by models that take several."""
    prompt: str
    """What the speech is about."""
    keywords: list[str]
    """Words that are likely."""
    delay: Literal["minimal", "low", "medium", "high", "xhigh"]
    """How long the model may wait for context: less delay, more errors."""


class ServerVad(TypedDict, total=False):
    """Turns by silence. Times are in milliseconds."""

    type: Literal["server_vad"]
    """Always `server_vad`."""
    threshold: float
    """0 to 1: how loud speech has to be; 0.5 by default."""
    prefix_padding_ms: int
    """Sound before the beginning of speech that belongs to it; 300 by default."""
    silence_duration_ms: int
    """Silence that ends a turn; 500 by default."""
    idle_timeout_ms: int | None
    """Milliseconds of silence after which the model speaks; `None`: never.

    See `stapes.IdleTimeoutTriggered`.
    """
    create_response: bool
    """The end of a turn asks for an answer; true by default."""
    interrupt_response: bool
    """Speech cancels the answer at the server; true by default."""


class SemanticVad(TypedDict, total=False):
    """Turns by what was said."""

    type: Literal["semantic_vad"]
    """Always `semantic_vad`."""
    eagerness: Literal["low", "medium", "high", "auto"]
    """How soon a turn counts as over: `low` waits longest; `auto` is the default."""
    create_response: bool
    """The end of a turn asks for an answer; true by default."""
    interrupt_response: bool
    """Speech cancels the answer at the server; true by default."""


class InputAudioConfig(TypedDict, total=False):
    """The user's sound. `None` switches a feature off; a key that is left out has the default."""

    format: AudioFormat
    """On the wire."""
    noise_reduction: NoiseReduction | Mapping[str, Any] | None
    """Before the model hears it."""
    transcription: Transcription | Mapping[str, Any] | None
    """What writes down the user's words."""
    turn_detection: ServerVad | SemanticVad | Mapping[str, Any] | None
    """What decides that the user's turn is over; `None`: you do."""


class CustomVoice(TypedDict):
    """A voice of one's own, by the id that the provider has given it."""

    id: str
    """The provider's id of it."""


class OutputAudioConfig(TypedDict, total=False):
    """The answer's sound."""

    format: AudioFormat
    """On the wire."""
    voice: str | CustomVoice
    """A name, such as `marin`, or a voice of your own."""
    speed: float
    """1.0 is the voice's own pace."""


class AudioConfig(TypedDict, total=False):
    """Both directions."""

    input: InputAudioConfig
    """The user's sound."""
    output: OutputAudioConfig
    """The answer's sound."""


class Reasoning(TypedDict, total=False):
    """How long a model that reasons may think before it answers."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"]
    """`low` answers sooner."""


class SessionConfig(TypedDict, total=False):
    """A session as the provider configures it (GA protocol).

    Instructions, tools and prompt come from the agent. `provider_data` is merged into the payload
    as it is, for keys that this version does not know.
    """

    model: str
    """In place of `RealtimeSession(model=...)`."""
    output_modalities: list[Literal["text", "audio"]]
    """`["audio"]` by default; `["text"]` writes and does not speak."""
    audio: AudioConfig
    """Both directions of sound."""
    tool_choice: str | Mapping[str, Any]
    """`auto`, `none`, `required`, or one tool."""
    parallel_tool_calls: bool
    """Several calls in one response."""
    max_output_tokens: int | Literal["inf"]
    """The bound of one response."""
    reasoning: Reasoning | Mapping[str, Any]
    """How long the model thinks."""
    truncation: str | Mapping[str, Any]
    """What the provider drops when the conversation is too long."""
    include: list[str]
    """More that the provider may tell, such as log probabilities."""
    provider_data: Mapping[str, Any]
    """Merged into the payload as it is."""


_BEFORE_GA = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}
_ELSEWHERE = {
    "instructions": "give them to the agent: RealtimeAgent(instructions=...)",
    "tools": "give them to the agent: RealtimeAgent(tools=...)",
    "prompt": "give it to the agent: RealtimeAgent(prompt=...)",
    "tracing": "use tracing_disabled, workflow_name, group_id and trace_metadata of the session",
    "type": "it is always 'realtime'",
}
_FORMATS: dict[str, FormatObject] = {
    "pcm16": {"type": "audio/pcm", "rate": 24_000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}


def check_config(config: Mapping[str, Any]) -> None:
    """Refuses keys that the provider does not know.

    Raises:
        ValueError: names the key, and the right one where it is known.
        TypeError: a part that must be a mapping is something else.
    """
    _check(_mapping(config, "config"), SessionConfig.__annotations__, "config")
    audio = _mapping(config.get("audio", {}), "config.audio")
    _check(audio, AudioConfig.__annotations__, "config.audio")
    for direction, keys in (
        ("input", InputAudioConfig.__annotations__),
        ("output", OutputAudioConfig.__annotations__),
    ):
        where = f"config.audio.{direction}"
        part = _mapping(audio.get(direction, {}), where)
        _check(part, keys, where)
        if "format" in part:
            wire_format(part["format"], f"{where}.format")
        check_turn_detection(part.get("turn_detection"), f"{where}.turn_detection")
        _check_voice(part.get("voice"), f"{where}.voice")


def check_turn_detection(value: Any, where: str) -> None:
    """Refuses settings of turn detection that the provider would refuse.

    Raises:
        ValueError: `idle_timeout_ms` with another type than `server_vad`. Source: OpenAI's
            reference, which has it for that type alone.
    """
    if not isinstance(value, Mapping) or value.get("idle_timeout_ms") is None:
        return
    kind = value.get("type")
    if kind in (None, "semantic_vad"):
        raise ValueError(
            f"{where}.idle_timeout_ms works with the type 'server_vad' alone, and the type is "
            f"{kind!r}: leave it out, or use 'server_vad'"
        )


def _check_voice(value: Any, where: str) -> None:
    if value is None or isinstance(value, str):
        return
    if not (isinstance(value, Mapping) and isinstance(value.get("id"), str)):
        raise ValueError(
            f"{where} is {value!r}: give the name of a voice, or {{'id': ...}} for one of your own"
        )


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} must be a mapping, not {type(value).__name__}")
    return value


def _check(value: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    for key in value:
        if key in known:
            continue
        if where == "config" and (ga := _BEFORE_GA.get(_snake(key))):
            raise ValueError(f"config key {key!r} is not of the GA protocol: write it as {ga}")
        if where == "config" and key in _ELSEWHERE:
            raise ValueError(f"config key {key!r} does not belong here: {_ELSEWHERE[key]}")
        if _snake(key) in known:
            raise ValueError(f"{where} key {key!r} is written {_snake(key)!r} here")
        raise ValueError(
            f"{where} key {key!r} is unknown: use {', '.join(known)}"
            + (
                ", or provider_data for what this version does not know"
                if where == "config"
                else ""
            )
        )


def _snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def wire_format(value: Any, where: str) -> FormatObject:
    """The format as the wire writes it.

    Raises:
        ValueError: there is no such format.
    """
    if isinstance(value, str) and value in _FORMATS:
        return _FORMATS[value]
    if isinstance(value, Mapping) and value.get("rate") is not None:
        whole_number(value["rate"], f"{where}.rate", at_least=1)
    if isinstance(value, Mapping) and value.get("type") in _core.AUDIO_TYPES:
        return value  # type: ignore[return-value]
    raise ValueError(
        f"{where} is {value!r}: use 'pcm16', 'g711_ulaw', 'g711_alaw', or a mapping with type "
        "'audio/pcm' (and a rate), 'audio/pcmu' or 'audio/pcma'"
    )


def whole_number(value: Any, name: str, *, at_least: int) -> None:
    """Refuses a value that is no whole number, or too small.

    Raises:
        TypeError: the value is no whole number.
        ValueError: it is too small, or too large for the core.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}")
    if not at_least <= value < 2**32:
        raise ValueError(f"{name} must be at least {at_least} and less than 2**32, not {value}")
