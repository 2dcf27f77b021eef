"""The session's configuration as the server gets it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stapes.config import SessionConfig, wire_format
from stapes.session.agents.fitting import fit

if TYPE_CHECKING:
    from agents import RunContextWrapper

    from stapes.providers import Provider, SessionDefaults
    from stapes.session.agents.snapshot import AgentSnapshot

__all__ = ["merged", "session_payload"]

_OPTIONAL = (
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "max_output_tokens",
    "truncation",
    "include",
)


async def session_payload(
    snapshot: AgentSnapshot,
    context: RunContextWrapper[Any],
    config: SessionConfig,
    provider: Provider,
    model: str,
    *,
    switching: bool = False,
) -> dict[str, Any]:
    """The `session` of a `session.update` event.

    Args:
        snapshot: the agent.
        context: what instructions that are a function get.
        config: the user's configuration.
        provider: has defaults for what `config` leaves out, and may not know all of it.
        model: the model in use; empty: none is named.
        switching: the agent replaces another one, whose instructions and tools must not stay.

    Raises:
        stapes.NotSupportedError: the provider cannot do what the agent or `config` wants.
    """
    agent, defaults = snapshot.agent, provider.defaults
    audio = config.get("audio", {})
    given_in: Mapping[str, Any] = audio.get("input", {})
    given_out: Mapping[str, Any] = audio.get("output", {})
    output: dict[str, Any] = {
        "format": wire_format(
            given_out.get("format", provider.output_audio.usual), "config.audio.output.format"
        ),
    }
    voice = given_out.get("voice") or getattr(agent, "voice", None)
    if voice is not None:
        output["voice"] = voice if isinstance(voice, str) else dict(voice)
    output["speed"] = given_out.get("speed", defaults.speed)
    payload: dict[str, Any] = {"type": "realtime"}
    instructions = await agent.get_system_prompt(context)
    if instructions is not None or switching:
        # Else the provider would keep those of the agent before.
        payload["instructions"] = instructions or ""
    payload |= {
        "model": config.get("model", model),
        "output_modalities": config.get("output_modalities", list(defaults.output_modalities)),
        "audio": {
            "input": {
                "format": wire_format(
                    given_in.get("format", provider.input_audio.usual), "config.audio.input.format"
                ),
                "noise_reduction": given_in.get("noise_reduction", _own(defaults.noise_reduction)),
                "transcription": given_in.get("transcription", _own(defaults.transcription)),
                "turn_detection": _turn_detection(given_in, defaults),
            },
            "output": output,
        },
    }
    if not payload["model"]:
        del payload["model"]
    payload |= {key: config[key] for key in _OPTIONAL if key in config}  # type: ignore[literal-required]
    fit(payload, snapshot.definitions, provider, prompt=agent.prompt is not None)
    payload = merged(payload, provider.own_settings)
    payload = merged(payload, config.get("provider_data", {}))
    if agent.prompt is not None:
        payload["prompt"] = dict(agent.prompt)
    if snapshot.definitions or switching:
        payload["tools"] = list(snapshot.definitions)
    return payload


def merged(mine: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, with what of mine it does not name; objects are merged key by key."""
    both = {**mine, **given}
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(mine.get(key), Mapping):
            both[key] = merged(dict(mine[key]), value)
    return both


def _own(default: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A copy: a transport may rewrite the payload, and sessions share the defaults."""
    return None if default is None else dict(default)


def _turn_detection(given: Mapping[str, Any], defaults: SessionDefaults) -> Any:
    """The user's, `None` included; an empty mapping counts as left out."""
    value = given.get("turn_detection", {})
    return _own(defaults.turn_detection) if value == {} else value
