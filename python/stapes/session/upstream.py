"""Uses of `openai-agents` that its `__all__` does not cover; they stand here alone."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

from agents import FunctionTool, RunContextWrapper, TContext, ToolApprovalItem, Usage
from agents.run_context import AgentHookContext
from agents.tool import (
    default_tool_timeout_error_message,
    invoke_function_tool,
    resolve_function_tool_failure_error_function,
    set_function_tool_failure_error_function,
)
from agents.tool_context import ToolContext

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "SessionContext",
    "ToolContext",
    "approval_item",
    "arguments_fit",
    "hook_context",
    "invoke_function_tool",
    "runs_in_a_thread",
    "telling_failures",
    "tool_context",
]


_MADE_WHEN_READ = {
    field.name: field.default_factory
    for field in dataclasses.fields(RunContextWrapper)
    if field.default_factory is not dataclasses.MISSING
}


class SessionContext(RunContextWrapper[TContext]):
    """A session's run context, whose own tables are made when somebody reads them.

    They are for approvals and calls of tools, which most sessions never have, and take more memory
    than most of a session's parts.

    Args:
        context: the user's object.
        usage: the session's.
    """

    def __init__(self, context: TContext, usage: Usage) -> None:
        self.context = context
        self.usage = usage

    def __getattr__(self, name: str) -> Any:
        # Called for what is not there.
        if (make := _MADE_WHEN_READ.get(name)) is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.__dict__.setdefault(name, make())

    def __getstate__(self) -> dict[str, Any]:
        # A copy shares them, as one of upstream's does.
        return self.__dict__ | {name: getattr(self, name) for name in _MADE_WHEN_READ}


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


def telling_failures(tool: FunctionTool, tell: Callable[[Exception], object]) -> FunctionTool:
    """A copy of a tool that also gives `tell` what its own error functions answer to the model."""
    told = copy.copy(tool)

    if (answer := resolve_function_tool_failure_error_function(tool)) is not None:

        def on_failure(context: RunContextWrapper[Any], error: Exception) -> Any:
            tell(error)
            return answer(context, error)

        set_function_tool_failure_error_function(told, on_failure)

    if tool.timeout_seconds is not None and tool.timeout_behavior != "raise_exception":

        def on_timeout(context: RunContextWrapper[Any], error: Exception) -> Any:
            tell(error)
            if tool.timeout_error_function is not None:
                return tool.timeout_error_function(context, error)
            return default_tool_timeout_error_message(
                tool_name=tool.name, timeout_seconds=tool.timeout_seconds or 0.0
            )

        told.timeout_error_function = on_timeout
    return told


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
