"""Calls that wait for a person's decision: function calls, and those of hosted MCP servers."""

from __future__ import annotations

import contextvars
import json
import logging
from typing import TYPE_CHECKING, Any

from agents import ModelBehaviorError

from stapes.approvals import ToolApproval
from stapes.errors import NotConnectedError
from stapes.events import Error, ToolApprovalRequested
from stapes.session.completion import Completion, done
from stapes.session.entries import Entries
from stapes.session.tool_calls.tool_result import tool_result_text
from stapes.session.upstream import approval_item

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agents import FunctionTool
    from agents.realtime import RealtimeAgent

    from stapes.events import ToolCall
    from stapes.items import McpApprovalRequestItem
    from stapes.session.scope import Scope
    from stapes.session.tool_calls.pending import PendingCall

__all__ = ["Approvals", "function_approval_item"]

logger = logging.getLogger("stapes")

# Python makes a new one for each `frozenset()`.
_NONE: frozenset[str] = frozenset()


class Approvals(Entries[ToolApproval, "PendingCall"]):
    """The decisions that one session waits for."""

    __slots__ = ("_pending_mcp", "_scope", "_taps")

    def __init__(self, scope: Scope) -> None:
        # The function calls that wait.
        super().__init__()
        self._scope = scope
        self._pending_mcp = _NONE
        self._taps: tuple[Callable[[str, bool], None], ...] = ()

    def tap(self, tap: Callable[[str, bool], None]) -> None:
        """Calls `tap` with the id of each call that is decided on, and whether it may be made.

        A call that an earlier decision covers (`always`) is one of them.
        """
        self._taps = (*self._taps, tap)

    def decided(self, call_id: str, *, approve: bool) -> None:
        """Tells the taps of a decision."""
        for tap in self._taps:
            tap(call_id, approve)

    def ask(self, pending: PendingCall, tool: FunctionTool, item: Any) -> None:
        """Lets a function call wait for a decision; `item` is its request, as upstream has it."""
        scope, call, agent = self._scope, pending.call, pending.snapshot.agent
        approval = ToolApproval(
            kind="function_approval",
            agent=agent,
            tool_name=tool.name,
            arguments=call.arguments,
            call_id=call.call_id,
            item_id=call.item_id,
            response_id=call.response_id,
            tool=tool,
            connection_id=pending.connection_id,
            approval_item=item,
        )
        # Whoever decides, the tool runs as it would have run at once.
        pending.tool, pending.context = tool, contextvars.copy_context()
        self._put(approval, pending)
        is_taken = scope.local_events.transact(
            [ToolApprovalRequested(scope.context, agent, approval)],
            lambda tokens: scope.core.await_approval(
                call.call_id, pending.connection_id, tokens[0]
            ),
        )
        if not is_taken and self._scope.core.is_standing:
            self._take(approval)

    def mcp_requested(
        self, item: McpApprovalRequestItem, agent: RealtimeAgent[Any], connection_id: int
    ) -> ToolApproval:
        """Takes note of a hosted MCP server's call that waits for a decision."""
        arguments = json.dumps(item.arguments, ensure_ascii=False, separators=(",", ":"))
        raw = {
            "type": "mcp_approval_request",
            "id": item.item_id,
            "server_label": item.server_label,
            "name": item.name,
            "arguments": arguments,
        }
        self._pending_mcp |= {item.item_id}
        return ToolApproval(
            kind="mcp_approval_request",
            agent=agent,
            tool_name=item.name,
            arguments=arguments,
            call_id=item.item_id,
            item_id=item.item_id,
            server_label=item.server_label,
            connection_id=connection_id,
            approval_item=approval_item(agent, raw, item.name),
        )

    def decide(
        self,
        approval: ToolApproval,
        resume: Callable[[PendingCall], Coroutine[Any, Any, None]],
        *,
        approve: bool,
        always: bool,
        message: str | None = None,
    ) -> Completion[None]:
        """Takes a decision. A second one about the same request changes nothing.

        Args:
            approval: the request.
            resume: goes on with a function call that has been decided.
            approve: whether the call may be made.
            always: the same for later calls of this tool by this agent.
            message: what the model gets in place of the tool's answer.

        Raises:
            TypeError: names the argument that is wrong.
        """
        scope = self._scope
        if not isinstance(approval, ToolApproval):
            raise TypeError(
                f"approval must be a ToolApproval, not {type(approval).__name__}: give the "
                "event.approval of a ToolApprovalRequested event"
            )
        if not (message is None or isinstance(message, str)):
            raise TypeError(f"message must be text or None, not {type(message).__name__}")
        if approval.connection_id != scope.core.connection_id or not scope.core.is_standing:
            return scope.tasks.failed(
                ModelBehaviorError("Tool approval belongs to a closed realtime connection.")
            )
        if approval.kind == "mcp_approval_request":
            if always:
                logger.warning(
                    "hosted MCP tools cannot be approved or rejected for good: "
                    "use require_approval of the tool's configuration"
                )
            self.decide_mcp(approval, approve=approve, message=message)
            return done()
        pending = self._take(approval)
        if pending is None:
            return done()
        self.decided(approval.call_id, approve=approve)
        item = approval.approval_item
        assert item is not None
        if approve:
            scope.context.approve_tool(item, always_approve=always)
        else:
            scope.context.reject_tool(item, always_reject=always, rejection_message=message)
        return scope.tasks.completion(resume(pending), pending.context)

    def forget_calls(self) -> None:
        """Forgets the function calls that wait: their connection is over, or about to be."""
        self._clear()

    def forget_mcp_calls(self) -> None:
        """Forgets the calls of hosted MCP servers that wait: their connection is over."""
        self._pending_mcp = _NONE

    def lose_mcp_calls(self) -> None:
        """Tells of hosted MCP servers' calls that wait: another connection knows none of them."""
        for item_id in sorted(self._pending_mcp):
            self._lost(item_id)
        self.forget_mcp_calls()

    def _lost(self, item_id: str) -> None:
        error = NotConnectedError(
            f"the approval of hosted MCP call {item_id} is waited for no more: the connection was "
            "lost, and the provider takes no such request from a client. Ask the model to make the "
            "call again, with send_message"
        )
        self._scope.local_events.emit(Error(error, context="approval"))

    def decide_mcp(self, approval: ToolApproval, *, approve: bool, message: str | None) -> None:
        """Answers the request of a hosted MCP server, if it waits still."""
        if approval.item_id not in self._pending_mcp:
            return
        reason = None if approve or message is None else tool_result_text(message)
        is_taken = self._scope.core.answer_mcp_approval(
            approval.connection_id, approval.item_id, approve, reason
        )
        # Not before: a decision that could not be sent is still to be made.
        self._pending_mcp -= {approval.item_id}
        self.decided(approval.call_id, approve=approve)
        if not is_taken and self._scope.core.is_standing:
            # The connection was lost, and nobody has told of it yet.
            self._scope.tasks.here(self._lost, approval.item_id)


def function_approval_item(agent: Any, call: ToolCall, tool: FunctionTool) -> Any:
    """A function call's request for approval as the run context knows it."""
    raw = {
        "type": "function_call",
        "name": call.name,
        "call_id": call.call_id,
        "arguments": call.arguments,
        "id": call.item_id,
    }
    return approval_item(agent, raw, tool.name)
