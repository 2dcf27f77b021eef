"""What waits for a person's decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from stapes.brief import by_name

if TYPE_CHECKING:
    from agents import FunctionTool, ToolApprovalItem
    from agents.realtime import RealtimeAgent

__all__ = ["ToolApproval"]


@dataclass(frozen=True, slots=True, eq=False)
class ToolApproval:
    """A request for approval. It is good for its call and its connection only."""

    kind: Literal["function_approval", "mcp_approval_request"]
    """Whose tool it is: yours, or a hosted MCP server's."""
    agent: RealtimeAgent[Any]
    tool_name: str
    """The tool's name."""
    arguments: str
    """JSON, as the model wrote it."""
    call_id: str
    """The id of the call; of the approval request where a hosted MCP server asks."""
    item_id: str
    response_id: str | None = None
    tool: FunctionTool | None = None
    """The tool; `None` where it is a hosted MCP server's."""
    server_label: str | None = None
    """The hosted MCP server."""
    connection_id: int = field(default=0, repr=False)
    """The connection that the call came over."""
    approval_item: ToolApprovalItem | None = field(default=None, repr=False)
    """The same as `openai-agents` writes it, for its run context."""

    __repr__ = by_name
