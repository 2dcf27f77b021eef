"""Which tools the hosted MCP servers of an agent have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stapes.events import McpTool

if TYPE_CHECKING:
    from stapes.session.agents.snapshot import AgentSnapshot

__all__ = ["HostedMcpTools"]


class HostedMcpTools:
    """What the servers have listed, and what of it the agent in charge may use."""

    __slots__ = ("_listed", "available")

    def __init__(self) -> None:
        self._listed: dict[str, list[dict[str, Any]]] = {}
        self.available: tuple[McpTool, ...] = ()

    def listed(self, server_label: str, tools: list[dict[str, Any]]) -> None:
        """A server has told its tools."""
        self._listed[server_label] = tools

    def of(self, snapshot: AgentSnapshot) -> tuple[McpTool, ...] | None:
        """The tools of that agent; `None` where they are those that are available already."""
        found: dict[str, McpTool] = {}
        for tool in snapshot.hosted:
            allowed = tool.tool_config.get("allowed_tools")
            if isinstance(allowed, Mapping):
                allowed = allowed.get("tool_names")
            for listed in self._listed.get(tool.tool_config.get("server_label", ""), []):
                name = str(listed.get("name"))
                if (allowed is None or name in allowed) and name not in found:
                    found[name] = McpTool(
                        name,
                        listed.get("description"),
                        listed.get("input_schema"),
                        listed.get("annotations"),
                    )
        if sorted(found) == sorted(tool.name for tool in self.available):
            return None
        return tuple(found.values())
