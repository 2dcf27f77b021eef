"""An agent with its tools and handoffs, as they were when it was looked at."""

from __future__ import annotations

import functools
import inspect
import logging
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents import FunctionTool, Handoff, HostedMCPTool, RunContextWrapper, Tool, UserError
from agents.realtime import RealtimeAgent, realtime_handoff

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger("stapes")

__all__ = ["AgentSnapshot", "check_realtime_agent", "is_enabled", "prepare_agent"]


@dataclass(frozen=True, slots=True)
class AgentSnapshot:
    """An agent as it was when it took over.

    A response is served by the tools and handoffs that its agent had when it began.
    """

    agent: RealtimeAgent[Any]
    functions: tuple[FunctionTool, ...]
    hosted: tuple[HostedMCPTool, ...]
    handoffs: tuple[Handoff[Any, Any], ...]
    definitions: tuple[dict[str, Any], ...]
    """The `tools` of the session's configuration: those that were enabled then."""


async def is_enabled(
    thing: FunctionTool | Handoff[Any, Any], context: RunContextWrapper[Any], agent: Any
) -> bool:
    """Whether a tool or handoff may be used now."""
    enabled = thing.is_enabled
    if isinstance(enabled, bool):
        return enabled
    result = enabled(context, agent)
    return bool(await result) if inspect.isawaitable(result) else bool(result)


async def prepare_agent(
    agent: RealtimeAgent[Any], context: RunContextWrapper[Any]
) -> AgentSnapshot:
    """Collects an agent's tools and handoffs, those of its local MCP servers included.

    Raises:
        agents.UserError: a tool that a realtime session cannot have, or a name that occurs twice.
    """
    own: list[Tool] = list(agent.tools)
    for tool in own:
        _check_tool(agent, tool)
    handoffs = [_handoff(agent, entry) for entry in agent.handoffs]
    listed: Sequence[Tool] = (
        [*await agent.get_mcp_tools(context), *own] if agent.mcp_servers else own
    )
    functions = [tool for tool in listed if isinstance(tool, FunctionTool)]
    hosted = [tool for tool in listed if isinstance(tool, HostedMCPTool)]
    usable = [tool for tool in functions if await is_enabled(tool, context, agent)]
    reachable = [handoff for handoff in handoffs if await is_enabled(handoff, context, agent)]
    _check_names(usable, reachable)
    return AgentSnapshot(
        agent=agent,
        functions=tuple(functions),
        hosted=tuple(hosted),
        handoffs=tuple(handoffs),
        definitions=(
            *(_definition_of(tool) for tool in listed if tool in usable or tool in hosted),
            *(_definition_of_handoff(handoff) for handoff in reachable),
        ),
    )


def check_realtime_agent(agent: object, what: str) -> None:
    """Refuses what is no agent of a realtime session's.

    Raises:
        agents.UserError: it is none; `what` says where it came from.
    """
    if not isinstance(agent, RealtimeAgent):
        raise UserError(
            f"{what} is {_described(agent)}: give a stapes.RealtimeAgent(name=..., ...)"
        )


def _described(value: object) -> str:
    name = getattr(value, "__name__", None)
    return type(value).__name__ if name is None else f"{name!r}, a {type(value).__name__}"


_MCP_ADDRESSES = ("server_url", "tunnel_id", "connector_id")


def _check_hosted(agent: RealtimeAgent[Any], tool: HostedMCPTool) -> None:
    config: dict[str, Any] = {**tool.tool_config}
    label = str(config.get("server_label"))
    if not any(config.get(key) for key in _MCP_ADDRESSES):
        raise UserError(
            f"hosted MCP server {label!r} of agent {agent.name!r} has no address: give server_url, "
            "or tunnel_id for a Secure MCP Tunnel, in tool_config"
        )
    if config.get("connector_id"):
        _warn_of_connector(label, agent.name)


@functools.lru_cache(maxsize=256)
def _warn_of_connector(label: str, agent: str) -> None:
    # Once: an agent is prepared for each connection and each handoff.
    logger.warning(
        "hosted MCP server %r of agent %r has a connector_id, which OpenAI has deprecated for "
        "models released after 2026-09-01: give server_url, or tunnel_id for a Secure MCP Tunnel",
        label,
        agent,
    )


def _check_tool(agent: RealtimeAgent[Any], tool: object) -> None:
    if isinstance(tool, HostedMCPTool):
        return _check_hosted(agent, tool)
    if isinstance(tool, FunctionTool):
        return None
    name = getattr(tool, "name", None)
    if isinstance(name, str):
        raise UserError(
            f"tool {name!r} of agent {agent.name!r} is a {type(tool).__name__}: "
            "a realtime session takes function tools and hosted MCP tools"
        )
    raise UserError(
        f"a tool of agent {agent.name!r} is {_described(tool)}: a realtime session takes function "
        "tools and hosted MCP tools; make one of a function with @agents.function_tool"
    )


def _handoff(agent: RealtimeAgent[Any], entry: object) -> Handoff[Any, Any]:
    if isinstance(entry, Handoff):
        return entry
    if not isinstance(entry, RealtimeAgent):
        raise UserError(
            f"a handoff of agent {agent.name!r} is {_described(entry)}: "
            "give a RealtimeAgent, or what agents.realtime.realtime_handoff(...) returns"
        )
    return _handoff_to(entry)


def _handoff_to(agent: RealtimeAgent[Any]) -> Handoff[Any, Any]:
    """The handoff to an agent that is listed among handoffs itself.

    Its name is the reference's, `transfer_to_Billing`, where upstream writes `transfer_to_billing`.
    A handoff made with `realtime_handoff` keeps its own.
    """
    name = re.sub(r"[^a-zA-Z0-9_]", "_", f"transfer_to_{agent.name}")
    return realtime_handoff(agent, tool_name_override=name)


def _check_names(tools: list[FunctionTool], handoffs: list[Handoff[Any, Any]]) -> None:
    of_tools = Counter(tool.name for tool in tools)
    of_handoffs = Counter(handoff.tool_name for handoff in handoffs)
    for name in sorted(of_tools | of_handoffs):
        tool_count, handoff_count = of_tools[name], of_handoffs[name]
        if tool_count + handoff_count < 2:
            continue
        found = [
            f"{count} {what}{'s' if count > 1 else ''}"
            for count, what in ((tool_count, "function tool"), (handoff_count, "handoff"))
            if count
        ]
        raise UserError(
            f"Duplicate Realtime tool name found: {name!r} ({', '.join(found)}). Realtime function "
            "tool and handoff names must be unique. Rename one of them."
        )


def _definition_of(tool: Tool) -> dict[str, Any]:
    if isinstance(tool, HostedMCPTool):
        return {key: value for key, value in tool.tool_config.items() if value is not None}
    assert isinstance(tool, FunctionTool)
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.params_json_schema,
    }


def _definition_of_handoff(handoff: Handoff[Any, Any]) -> dict[str, Any]:
    return {
        "type": "function",
        "name": handoff.tool_name,
        "description": handoff.tool_description,
        "parameters": handoff.input_json_schema,
    }
