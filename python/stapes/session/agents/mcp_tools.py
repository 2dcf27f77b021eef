"""The tools of the hosted MCP servers that an agent has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stapes.events import McpTool, McpToolsChanged
from stapes.session.entries import Entries

if TYPE_CHECKING:
    from stapes.session.agents.snapshot import AgentSnapshot

__all__ = ["HostedMcpTools"]


class HostedMcpTools(Entries[str, list[dict[str, Any]]]):
    """The tools that the servers have listed, and those that the agent in charge may use."""

    __slots__ = ("available",)

    def __init__(self) -> None:
        # What each server has listed, by its label.
        super().__init__()
        self.available: tuple[McpTool, ...] = ()

    def listed(self, server_label: str, tools: list[dict[str, Any]]) -> None:
        """Takes the list of a server."""
        self._put(server_label, tools)

    def changes(self, snapshot: AgentSnapshot) -> list[McpToolsChanged]:
        """The event that says which tools that agent may use; none where they are the same."""
        found: dict[str, McpTool] = {}
        for tool in snapshot.hosted:
            allowed = tool.tool_config.get("allowed_tools")
            if isinstance(allowed, Mapping):
                allowed = allowed.get("tool_names")
            for listed in self._get(tool.tool_config.get("server_label", "")) or ():
                name = str(listed.get("name"))
                if (allowed is None or name in allowed) and name not in found:
                    found[name] = McpTool(
                        name,
                        listed.get("description"),
                        listed.get("input_schema"),
                        listed.get("annotations"),
                    )
        if sorted(found) == sorted(tool.name for tool in self.available):
            return []
        return [McpToolsChanged(tuple(found.values()))]
