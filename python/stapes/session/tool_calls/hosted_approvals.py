"""Decisions of users' code about the calls of hosted MCP servers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agents import MCPToolApprovalRequest
from openai.types.responses.response_output_item import McpApprovalRequest

from stapes.session.failures import ends_more, report_failure

if TYPE_CHECKING:
    from agents import HostedMCPTool

    from stapes.approvals import ToolApproval
    from stapes.session.agents.snapshot import AgentSnapshot
    from stapes.session.scope import Scope
    from stapes.session.tool_calls.approvals import Approvals

__all__ = ["decide_by_callback", "tool_that_decides"]

_CALLBACK_FAILED = "The approval of this call failed."


def tool_that_decides(snapshot: AgentSnapshot | None, server_label: str) -> HostedMCPTool | None:
    """The tool of that server whose `on_approval_request` decides, if there is one."""
    for tool in snapshot.hosted if snapshot is not None else ():
        is_asked = tool.tool_config.get("server_label") == server_label
        if is_asked and tool.on_approval_request is not None:
            return tool
    return None


async def decide_by_callback(
    scope: Scope, approvals: Approvals, tool: HostedMCPTool, approval: ToolApproval
) -> None:
    """Has the tool's callback decide. Where it fails, the call is rejected, and the error told."""
    try:
        approve, reason = await _decision(scope, tool, approval)
    except BaseException as error:
        if ends_more(error):
            raise
        report_failure(scope.local_events, error, "on_approval_request")
        approve, reason = False, _CALLBACK_FAILED
    approvals.decide_mcp(approval, approve=approve, message=reason)


async def _decision(
    scope: Scope, tool: HostedMCPTool, approval: ToolApproval
) -> tuple[bool, str | None]:
    decide = tool.on_approval_request
    assert decide is not None
    data = McpApprovalRequest(
        id=approval.item_id,
        arguments=approval.arguments,
        name=approval.tool_name,
        server_label=approval.server_label or "",
        type="mcp_approval_request",
    )
    result: Any = decide(MCPToolApprovalRequest(scope.context, data))
    if inspect.isawaitable(result):
        result = await result
    if not isinstance(result, Mapping) or not isinstance(result.get("approve"), bool):
        raise TypeError(
            "on_approval_request must return {'approve': True or False, 'reason': ...}, "
            f"not {type(result).__name__}"
        )
    reason = result.get("reason")
    if not (reason is None or isinstance(reason, str)):
        raise TypeError(
            "the reason that on_approval_request returns must be text or None, not "
            f"{type(reason).__name__}"
        )
    return result["approve"], reason
