"""Runs the guardrails of tools, before and after a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agents import (
    FunctionTool,
    RunContextWrapper,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrailData,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailData,
    ToolOutputGuardrailTripwireTriggered,
)

from stapes.session.tool_calls.tool_result import tool_result_text
from stapes.session.upstream import tool_context

if TYPE_CHECKING:
    from stapes.session.tool_calls.pending import PendingCall

__all__ = ["call_context", "check_input", "check_output"]


def call_context(
    context: RunContextWrapper[Any], pending: PendingCall, tool: FunctionTool, arguments: str
) -> Any:
    """The context of a tool or of one of its guardrails; each gets its own."""
    return tool_context(
        context,
        pending.snapshot.agent,
        name=tool.name,
        call_id=pending.call.call_id,
        arguments=arguments,
    )


async def check_input(
    context: RunContextWrapper[Any], pending: PendingCall, tool: FunctionTool, arguments: str
) -> str | None:
    """The answer in place of the tool's, where a guardrail refuses the input."""
    for guardrail in tool.tool_input_guardrails or ():
        own = call_context(context, pending, tool, arguments)
        data = ToolInputGuardrailData(context=own, agent=pending.snapshot.agent)  # type: ignore[arg-type]
        output = await guardrail.run(data)
        tripped = ToolInputGuardrailTripwireTriggered(guardrail=guardrail, output=output)
        if (message := _verdict(output, tripped)) is not None:
            return message
    return None


async def check_output(
    context: RunContextWrapper[Any],
    pending: PendingCall,
    tool: FunctionTool,
    arguments: str,
    result: Any,
) -> Any:
    """The tool's result, or the answer that a guardrail puts in its place."""
    for guardrail in tool.tool_output_guardrails or ():
        data = ToolOutputGuardrailData(
            context=call_context(context, pending, tool, arguments),
            agent=pending.snapshot.agent,  # type: ignore[arg-type]
            output=result,
        )
        output = await guardrail.run(data)
        tripped = ToolOutputGuardrailTripwireTriggered(guardrail=guardrail, output=output)
        if (message := _verdict(output, tripped)) is not None:
            return message
    return result


def _verdict(output: ToolGuardrailFunctionOutput, tripped: Exception) -> str | None:
    """The answer that a guardrail puts in place of the tool's, if any."""
    match output.behavior:
        case {"type": "reject_content", **rest}:
            # Whatever it says: what it rejects must not pass.
            return tool_result_text(rest.get("message"))
        case {"type": "raise_exception"}:
            raise tripped
        case _:
            return None
