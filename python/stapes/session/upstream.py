"""Uses of `openai-agents` that its `__all__` does not cover; they stand here alone."""

from __future__ import annotations

from typing import Any

from agents import FunctionTool, RunContextWrapper, ToolApprovalItem
from agents.run_context import AgentHookContext
from agents.tool import invoke_function_tool
from agents.tool_context import ToolContext

__all__ = [
    "ToolContext",
    "approval_item",
    "arguments_fit",
    "hook_context",
    "invoke_function_tool",
    "runs_in_a_thread",
    "tool_context",
]


def tool_context(
    context: RunContextWrapper[Any], agent: Any, *, name: str, call_id: str, arguments: str
) -> ToolContext[Any]:
    """The context of one call, which shares approvals and usage with the session's."""
    return ToolContext.from_agent_context(
        context, call_id, agent=agent, tool_name=name, tool_arguments=arguments
    )


def hook_context(context: RunContextWrapper[Any]) -> AgentHookContext[Any]:
    """The context that an agent's `on_start` and `on_end` hooks get."""
    return AgentHookContext(context=context.context, usage=context.usage)


def runs_in_a_thread(tool: FunctionTool) -> bool:
    """Whether the tool's function is synchronous, so that it would block the event loop."""
    return bool(getattr(tool.on_invoke_tool, "__agents_sync_function_tool__", False))


def arguments_fit(tool: FunctionTool, arguments: str) -> bool:
    """Whether a tool's own validation accepts these arguments.

    Where only users' code can tell (validators of their own models), the answer is no.
    """
    prepare = getattr(tool.on_invoke_tool, "prepare_arguments", None)
    prepared = None if prepare is None else prepare(arguments, tool.name)
    return prepared is None or prepared.unchanged or bool(prepared.args or prepared.kwargs)


def approval_item(agent: Any, raw: dict[str, Any], name: str) -> ToolApprovalItem:
    """A request for approval, as the run context takes it."""
    return ToolApprovalItem(agent=agent, raw_item=raw, tool_name=name)
