"""The session's configuration as the server gets it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from stapes.config import SessionConfig, wire_format

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents import RunContextWrapper

    from stapes.session.agents import AgentSnapshot

__all__ = ["DEFAULT_MODEL", "session_payload", "tracing_config"]

logger = logging.getLogger("stapes")

DEFAULT_MODEL = "gpt-realtime-2.1"
"""What the reference (`@openai/agents-realtime` 0.20) uses."""

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
    model: str,
    *,
    switching: bool = False,
) -> dict[str, Any]:
    """What `session.update` carries.

    Args:
        snapshot: the agent.
        context: for instructions that are worked out.
        config: the user's.
        model: the model in use.
        switching: the agent follows another one, whose tools must not stay.
    """
    agent = snapshot.agent
    audio = config.get("audio", {})
    given_in: Mapping[str, Any] = audio.get("input", {})
    given_out: Mapping[str, Any] = audio.get("output", {})
    output: dict[str, Any] = {
        "format": wire_format(given_out.get("format", "pcm16"), "config.audio.output.format"),
    }
    voice = given_out.get("voice") or getattr(agent, "voice", None)
    if voice is not None:
        output["voice"] = voice
    output["speed"] = given_out.get("speed", 1)
    payload: dict[str, Any] = {"type": "realtime"}
    instructions = await agent.get_system_prompt(context)
    if instructions is not None:
        payload["instructions"] = instructions
    payload |= {
        "model": config.get("model", model),
        "output_modalities": config.get("output_modalities", ["audio"]),
        "audio": {
            "input": {
                "format": wire_format(given_in.get("format", "pcm16"), "config.audio.input.format"),
                "noise_reduction": given_in.get("noise_reduction"),
                "transcription": given_in.get("transcription", {"model": "gpt-4o-mini-transcribe"}),
                "turn_detection": _or(given_in, "turn_detection", {"type": "semantic_vad"}),
            },
            "output": output,
        },
    }
    payload |= {key: config[key] for key in _OPTIONAL if key in config}  # type: ignore[literal-required]
    payload |= config.get("provider_data", {})
    if agent.prompt is not None:
        payload["prompt"] = dict(agent.prompt)
    if snapshot.definitions or switching:
        payload["tools"] = list(snapshot.definitions)
    return payload


def _or(given: Mapping[str, Any], key: str, default: Any) -> Any:
    """What is given, `None` included; an empty mapping says nothing."""
    value = given.get(key, default)
    return default if value == {} else value


def tracing_config(
    *,
    disabled: bool,
    workflow_name: str | None,
    group_id: str | None,
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any] | str | None:
    """What the server is asked to trace the session as."""
    if disabled:
        return None
    if not workflow_name:
        if group_id or metadata:
            logger.warning("group_id and trace_metadata need a workflow_name: they are left out")
        return "auto"
    tracing: dict[str, Any] = {"workflow_name": workflow_name}
    if group_id:
        tracing["group_id"] = group_id
    if metadata:
        tracing["metadata"] = dict(metadata)
    return tracing
