"""A function call that has not been answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents import FunctionTool

    from stapes.events import ToolCall
    from stapes.session.agents.snapshot import AgentSnapshot

__all__ = ["PendingCall"]


@dataclass(slots=True)
class PendingCall:
    """A call on its way, served by the agent as it was when the response began."""

    call: ToolCall
    snapshot: AgentSnapshot
    connection_id: int
    tool: FunctionTool | None = None
    """Set where the call waits for approval."""
