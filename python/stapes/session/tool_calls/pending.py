"""A function call that has not been answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import contextvars

    from agents import FunctionTool

    from stapes.errors import ToolOutputNotSent
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
    context: contextvars.Context | None = None
    """The call's own, for when it has been decided; set with `tool`."""
    failures: list[Exception] = field(default_factory=list)
    """What the tool raised and answered itself."""
    not_sent: ToolOutputNotSent | None = None
    """Set where the call was answered, but its connection had been lost."""
