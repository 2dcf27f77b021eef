"""The SDK's settings of a model, as the server gets them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agents import FunctionTool, UserError
from agents.realtime import DEFAULT_MODEL_SETTINGS, RealtimeSessionModelSettings
from agents.realtime.audio_formats import to_realtime_audio_format
from agents.tool import (
    ensure_function_tool_supports_responses_only_features,
    ensure_tool_choice_supports_backend,
)

from stapes.config import wire_format
from stapes.providers import Azure, OpenAI
from stapes.session.agents.fitting import fit
from stapes.session.agents.payload import merged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents import Tool
    from agents.handoffs import Handoff

    from stapes.providers import Provider

__all__ = ["session_payload", "tracing_of"]

logger = logging.getLogger("stapes")

_KNOWN = frozenset(RealtimeSessionModelSettings.__annotations__)
_AS_THEY_ARE = ("instructions", "max_output_tokens")
_WHERE_STATED = ("parallel_tool_calls", "reasoning")
_TURN_DETECTION = {
    "createResponse": "create_response",
    "interruptResponse": "interrupt_response",
    "prefixPaddingMs": "prefix_padding_ms",
    "silenceDurationMs": "silence_duration_ms",
    "idleTimeoutMs": "idle_timeout_ms",
    "modelVersion": "model_version",
}
_HOST = "Realtime models"


def session_payload(
    settings: Mapping[str, Any], provider: Provider, model: str, *, joins_call: bool
) -> dict[str, Any]:
    """The `session` of a `session.update` event.

    Args:
        settings: a `RealtimeSessionModelSettings` of the SDK's.
        provider: has the defaults that are not OpenAI's.
        model: the model in use.
        joins_call: the connection joins a call, whose formats are not to be changed unasked.

    Raises:
        agents.UserError: a setting cannot be, or a tool cannot be had here.
        stapes.NotSupportedError: the provider cannot do what a setting wants.
    """
    for key in settings:
        if key not in _KNOWN:
            logger.warning("the model setting %r has no effect: this version does not know it", key)
    audio = _mapping(settings, "audio")
    payload: dict[str, Any] = {
        "type": "realtime",
        "model": settings.get("model_name") or model,
        "output_modalities": settings.get("output_modalities")
        or settings.get("modalities")
        or list(provider.defaults.output_modalities),
        "audio": {
            "input": _input(settings, _mapping(audio, "input"), provider, joins_call),
            "output": _output(settings, _mapping(audio, "output"), provider, joins_call),
        },
        "tools": _tools(settings.get("tools") or (), settings.get("handoffs") or ()),
    }
    payload |= {key: settings[key] for key in _AS_THEY_ARE if key in settings}
    payload |= {key: settings[key] for key in _WHERE_STATED if settings.get(key) is not None}
    if (prompt := settings.get("prompt")) is not None:
        payload["prompt"] = {
            key: prompt.get(key) for key in ("id", "variables", "version") if key in prompt
        }
    if "tool_choice" in settings:
        ensure_tool_choice_supports_backend(settings["tool_choice"], backend_name=_HOST)
        payload["tool_choice"] = settings["tool_choice"]
    if not payload["model"]:
        del payload["model"]
    fit(payload, payload["tools"], provider, prompt="prompt" in payload)
    return merged(payload, provider.own_settings)


def tracing_of(settings: Mapping[str, Any]) -> Any:
    """The `tracing` of the session's configuration: an object, `"auto"`, or `None` for none."""
    if "tracing" not in settings:
        return "auto"
    tracing = settings["tracing"]
    if isinstance(tracing, Mapping):
        return {key: value for key, value in tracing.items() if value is not None}
    return tracing


def _mapping(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = settings.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UserError(f"the model setting {key!r} must be a mapping, not {type(value).__name__}")
    return value


def _input(
    settings: Mapping[str, Any], given: Mapping[str, Any], provider: Provider, joins_call: bool
) -> dict[str, Any]:
    made = _format(settings, given, "input_audio_format", provider.input_audio.usual, joins_call)
    if "noise_reduction" in given:
        made["noise_reduction"] = given["noise_reduction"]
    elif "input_audio_noise_reduction" in settings:
        made["noise_reduction"] = settings["input_audio_noise_reduction"]
    defaults = provider.defaults
    made["transcription"] = _first(
        (given, "transcription"), (settings, "input_audio_transcription"), defaults.transcription
    )
    detection = _first(
        (given, "turn_detection"), (settings, "turn_detection"), _default_detection(provider)
    )
    if isinstance(detection, Mapping):
        detection = {
            **{_TURN_DETECTION.get(key, key): value for key, value in detection.items()},
            # Where both spellings stand there, the wire's own holds.
            **{key: value for key, value in detection.items() if key not in _TURN_DETECTION},
        }
    made["turn_detection"] = detection
    return made


def _output(
    settings: Mapping[str, Any], given: Mapping[str, Any], provider: Provider, joins_call: bool
) -> dict[str, Any]:
    made = _format(settings, given, "output_audio_format", provider.output_audio.usual, joins_call)
    default = DEFAULT_MODEL_SETTINGS.get("voice") if _has_openai_voices(provider) else None
    voice = given.get("voice") or settings.get("voice", default)
    if voice is not None:
        made["voice"] = voice
    speed = _first((given, "speed"), (settings, "speed"), None)
    if speed is not None:
        made["speed"] = speed
    return made


def _format(
    settings: Mapping[str, Any],
    given: Mapping[str, Any],
    flat_key: str,
    usual: Mapping[str, Any],
    joins_call: bool,
) -> dict[str, Any]:
    """The format, where there is one to state; as a payload of its own."""
    stated = given.get("format")
    if stated is None:
        stated = settings.get(flat_key, None if joins_call else usual)
    if stated is None:
        return {}
    if isinstance(stated, Mapping):
        try:
            made = dict(wire_format(stated, flat_key))
        except (TypeError, ValueError) as error:
            raise UserError(str(error)) from error
        return {"format": {"rate": 24_000, **made} if made["type"] == "audio/pcm" else made}
    known = to_realtime_audio_format(stated)
    if known is None:
        raise UserError(
            f"{flat_key} is {stated!r}: use 'pcm16', 'g711_ulaw' or 'g711_alaw', or a mapping with "
            "the type 'audio/pcm', 'audio/pcmu' or 'audio/pcma'"
        )
    return {"format": known.model_dump(exclude_none=True)}


def _first(
    nested: tuple[Mapping[str, Any], str], flat: tuple[Mapping[str, Any], str], default: Any
) -> Any:
    """A setting of the wire's shape, or of the flat one, or the default; `None` is a value."""
    for where, key in (nested, flat):
        if key in where:
            return where[key]
    return dict(default) if isinstance(default, Mapping) else default


def _has_openai_voices(provider: Provider) -> bool:
    return isinstance(provider, OpenAI | Azure)


def _default_detection(provider: Provider) -> Any:
    if _has_openai_voices(provider):
        return DEFAULT_MODEL_SETTINGS.get("turn_detection")
    return provider.defaults.turn_detection


def _tools(tools: Iterable[Tool], handoffs: Iterable[Handoff[Any, Any]]) -> list[dict[str, Any]]:
    offered: list[FunctionTool] = []
    for tool in tools:
        if not isinstance(tool, FunctionTool):
            raise UserError(f"Tool {tool.name} is unsupported. Must be a function tool.")
        if tool.is_enabled is not False:
            ensure_function_tool_supports_responses_only_features(tool, backend_name=_HOST)
            offered.append(tool)
    enabled = [handoff for handoff in handoffs if handoff.is_enabled is not False]
    _check_names([tool.name for tool in offered], [handoff.tool_name for handoff in enabled])
    return [
        *(_function(one.name, one.description, one.params_json_schema) for one in offered),
        *(_function(one.tool_name, one.tool_description, one.input_json_schema) for one in enabled),
    ]


def _check_names(tools: list[str], handoffs: list[str]) -> None:
    """Refuses names that the model could not tell apart.

    Raises:
        agents.UserError: names the first of them, and who has it.
    """
    for name in dict.fromkeys([*tools, *handoffs]):
        counts = {"function tool": tools.count(name), "handoff": handoffs.count(name)}
        if sum(counts.values()) > 1:
            owners = " and ".join(
                kind if count == 1 else f"{count} {kind}s"
                for kind, count in counts.items()
                if count
            )
            raise UserError(
                f"Duplicate Realtime tool name found: {name!r} ({owners}). Give each its own name."
            )


def _function(name: str, description: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": parameters,
    }
