"""Fits a session's configuration to what its provider knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.providers.refusing import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stapes.providers import Provider, SessionDefaults

__all__ = ["fit"]


def fit(
    payload: dict[str, Any], tools: Iterable[Mapping[str, Any]], provider: Provider, *, prompt: bool
) -> None:
    """Leaves out what the provider does not know, and refuses what it cannot do.

    Args:
        payload: the `session` of a `session.update`, without the user's `provider_data`.
        tools: of the agent in charge, as they are offered.
        provider: the session's.
        prompt: the agent has a stored prompt.

    Raises:
        stapes.NotSupportedError: names what is refused, and the remedy.
    """
    can = provider.capabilities
    if payload["output_modalities"] == ["text"] and not can.text_output:
        raise refusal(provider, "answers in text alone", "leave config.output_modalities out")
    _check_turn_detection(payload["audio"]["input"]["turn_detection"], provider)
    if prompt and not can.prompts:
        raise refusal(provider, "stored prompts", "give the agent instructions in place of prompt=")
    if not can.hosted_mcp and any(tool.get("type") == "mcp" for tool in tools):
        raise refusal(
            provider,
            "hosted MCP servers",
            "connect to the server yourself: RealtimeAgent(mcp_servers=[...])",
        )
    for path in sorted(provider.unknown_settings):
        _leave_out(payload, path, provider)


def _check_turn_detection(detection: Any, provider: Provider) -> None:
    can = provider.capabilities
    if detection is None and not can.manual_turns:
        raise refusal(
            provider,
            "turns without turn detection",
            "leave config.audio.input.turn_detection out",
        )
    kind = None if detection is None else detection.get("type")
    if kind is not None and can.turn_detection is not None and kind not in can.turn_detection:
        known = " or ".join(sorted(can.turn_detection))
        raise refusal(provider, f"turn detection of the type {kind!r}", f"use {known}")


def _leave_out(payload: dict[str, Any], path: str, provider: Provider) -> None:
    """Leaves one setting out, if it says nothing."""
    *parents, key = path.split(".")
    holder: Any = payload
    for parent in parents:
        holder = holder.get(parent, {})
    if key not in holder:
        return
    value = holder.pop(key)
    if value != _usual(path, provider.defaults):
        raise refusal(
            provider,
            f"config.{path}",
            "leave it out, or give it as provider_data if you know that it is understood",
        )


def _usual(path: str, defaults: SessionDefaults) -> Any:
    """The value that a setting has where the user gives none."""
    match path:
        case "output_modalities":
            return list(defaults.output_modalities)
        case "audio.output.speed":
            return defaults.speed
        case "audio.input.noise_reduction":
            return defaults.noise_reduction
    return None
