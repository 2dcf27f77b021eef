"""Runs the model's function calls: approvals, tool guardrails, tools, handoffs."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents import (
    FunctionTool,
    Handoff,
    ModelBehaviorError,
    ToolErrorFormatterArgs,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrailData,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailData,
    ToolOutputGuardrailTripwireTriggered,
)

from stapes.approvals import ToolApproval
from stapes.config import whole_number
from stapes.events import (
    AgentHandoff,
    AgentToolEnd,
    AgentToolStart,
    Error,
    ToolApprovalRequested,
    ToolCall,
)
from stapes.session.agents.snapshot import AgentSnapshot, is_enabled, prepare_agent
from stapes.session.cause import cause
from stapes.session.tool_result import tool_result_text
from stapes.session.upstream import (
    approval_item,
    arguments_fit,
    invoke_function_tool,
    runs_in_a_thread,
    tool_context,
)
from stapes.session.worker import run_in_worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stapes.session.session import RealtimeSession

__all__ = ["BackgroundResult", "CallRunner", "PendingCall", "ToolExecution", "background_result"]

logger = logging.getLogger("stapes")

TOOL_FAILED = "An error occurred while running the tool. Please try again."
NOT_APPROVED = "Tool execution was not approved."
BAD_ARGUMENTS = "An error occurred while parsing tool arguments. Please try again with valid JSON."


@dataclass(frozen=True, slots=True)
class ToolExecution:
    """How tools run.

    Attributes:
        pre_approval_input_guardrails: run a tool's input guardrails before asking, too.
        sync_workers: threads for synchronous tools, shared by the sessions of an event loop.
        max_concurrency: calls of a session that may be at work at the same time.
    """

    pre_approval_input_guardrails: bool = False
    sync_workers: int = 32
    max_concurrency: int = 64

    def __post_init__(self) -> None:
        """Refuses numbers with which no tool would run.

        Raises:
            ValueError, TypeError: names the option.
        """
        whole_number(self.sync_workers, "sync_workers", at_least=1)
        whole_number(self.max_concurrency, "max_concurrency", at_least=1)


@dataclass(frozen=True, slots=True)
class BackgroundResult:
    """A tool's output that the model learns of without being asked to respond."""

    content: Any


def background_result(content: Any) -> BackgroundResult:
    """Wraps a tool's result so that it starts no new response."""
    return BackgroundResult(content)


@dataclass(slots=True)
class PendingCall:
    """A call on its way."""

    call: ToolCall
    snapshot: AgentSnapshot
    connection_id: int
    tool: FunctionTool | None = None
    """Set where the call waits for approval."""
    decided: bool = False


class CallRunner:
    """Runs the calls of one session. Where it is too late for an act, the core refuses it."""

    __slots__ = ("_execution", "_formatter", "_session", "_slots", "_waiting")

    def __init__(
        self,
        session: RealtimeSession,
        execution: ToolExecution,
        formatter: Callable[[ToolErrorFormatterArgs[Any]], Any] | None,
    ) -> None:
        self._session = session
        self._execution = execution
        self._formatter = formatter
        # Made for the first call: most sessions have few, and many have none.
        self._slots: asyncio.Semaphore | None = None
        self._waiting: dict[ToolApproval, PendingCall] = {}

    def _slot(self) -> asyncio.Semaphore:
        """Holds a call's place among those that may be at work."""
        if self._slots is None:
            self._slots = asyncio.Semaphore(self._execution.max_concurrency)
        return self._slots

    async def run(self, pending: PendingCall) -> None:
        """Answers a call that came in."""
        async with self._slot():
            try:
                await self._dispatch(pending)
            except Exception as error:
                self._answer_failure(pending, error)

    def _answer_failure(self, pending: PendingCall, error: Exception) -> None:
        """The model gets an answer, the session the error: nobody waits for ever."""
        session, call = self._session, pending.call
        logger.debug("call of %s failed", call.name, exc_info=error)
        event = session._local_events.stage(Error(error, context=f"tool {call.name}"))
        if not session._core.tool_output(
            call.call_id, pending.connection_id, TOOL_FAILED, True, [event]
        ):
            session._local_events.discard(event)

    async def _dispatch(self, pending: PendingCall) -> None:
        session, call, snapshot = self._session, pending.call, pending.snapshot
        context, agent = session.context, snapshot.agent
        for tool in snapshot.functions:
            if tool.name == call.name and await is_enabled(tool, context, agent):
                return await self._function(pending, tool)
        for handoff in snapshot.handoffs:
            if handoff.tool_name == call.name and await is_enabled(handoff, context, agent):
                return await self._hand_off(pending, handoff)
        message = f"Tool {call.name} not found"
        event = session._local_events.stage(Error(ModelBehaviorError(message)))
        if not session._core.tool_output(
            call.call_id, pending.connection_id, message, False, [event]
        ):
            session._local_events.discard(event)
        return None

    async def _function(self, pending: PendingCall, tool: FunctionTool) -> None:
        call, agent = pending.call, pending.snapshot.agent
        arguments = call.arguments or "{}"
        parsed, readable = _parse(arguments)
        if not readable and isinstance(tool.needs_approval, bool):
            # Nobody need be asked about a call that cannot be made.
            return self._unreadable(pending)
        if await self._needs_approval(tool, parsed, readable, call):
            item = _approval_item(agent, call, tool)
            decision = self._session.context.get_approval_status(
                tool.name, call.call_id, existing_pending=item
            )
            if decision is None:
                return await self._ask(pending, tool, item, arguments)
            if decision is False:
                return await self._reject(pending, tool)
            if not readable:
                return self._answer(pending, tool, BAD_ARGUMENTS, respond=True, tell=False)
        return await self._invoke(pending, tool, arguments)

    def _unreadable(self, pending: PendingCall) -> None:
        session, call = self._session, pending.call
        error = ModelBehaviorError(f"the arguments of tool call {call.call_id} are not JSON")
        event = session._local_events.stage(Error(error, context=f"tool {call.name}"))
        if not session._core.tool_output(
            call.call_id, pending.connection_id, BAD_ARGUMENTS, True, [event]
        ):
            session._local_events.discard(event)

    async def _needs_approval(
        self, tool: FunctionTool, parsed: Any, readable: bool, call: ToolCall
    ) -> bool:
        policy = tool.needs_approval
        if isinstance(policy, bool):
            return policy
        if not readable or not isinstance(parsed, dict) or not arguments_fit(tool, call.arguments):
            return True
        result: Any = policy(self._session.context, parsed, call.call_id)
        return bool(await result) if inspect.isawaitable(result) else bool(result)

    async def _ask(
        self, pending: PendingCall, tool: FunctionTool, item: Any, arguments: str
    ) -> None:
        session, call, agent = self._session, pending.call, pending.snapshot.agent
        if self._execution.pre_approval_input_guardrails:
            refusal = await self._input_guardrails(pending, tool, arguments)
            if refusal is not None:
                return self._answer(pending, tool, refusal, respond=True, tell=False)
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
        pending.tool = tool
        self._waiting[approval] = pending
        event = session._local_events.stage(ToolApprovalRequested(session.context, agent, approval))
        if not session._core.await_approval(call.call_id, pending.connection_id, event):
            session._local_events.discard(event)
            del self._waiting[approval]
        return None

    def take(self, approval: ToolApproval) -> PendingCall | None:
        """The call that waits for this decision; `None` where it has been decided."""
        return self._waiting.pop(approval, None)

    def forget(self) -> None:
        """The connection is over: nothing waits any more."""
        self._waiting.clear()

    async def resume(self, pending: PendingCall) -> None:
        """Goes on with a call that has been decided."""
        tool = pending.tool
        assert tool is not None
        if not self._session._core.resume_call(pending.call.call_id, pending.connection_id):
            return
        async with self._slot():
            try:
                await self._function(pending, tool)
            except Exception as error:
                self._answer_failure(pending, error)

    async def _reject(self, pending: PendingCall, tool: FunctionTool) -> None:
        session, call = self._session, pending.call
        if not await self._start(pending, tool):
            return
        message = session.context.get_rejection_message(
            tool.name,
            call.call_id,
            existing_pending=_approval_item(pending.snapshot.agent, call, tool),
        )
        if message is None:
            message = await self._format_rejection(tool, call)
        self._answer(pending, tool, message, respond=True)

    async def _format_rejection(self, tool: FunctionTool, call: ToolCall) -> str:
        if self._formatter is None:
            return NOT_APPROVED
        try:
            formatted = self._formatter(
                ToolErrorFormatterArgs(
                    kind="approval_rejected",
                    tool_type="function",
                    tool_name=tool.name,
                    call_id=call.call_id,
                    default_message=NOT_APPROVED,
                    run_context=self._session.context,
                )
            )
            if inspect.isawaitable(formatted):
                formatted = await formatted
        except Exception:
            logger.exception("tool_error_formatter failed; the default message is used")
            return NOT_APPROVED
        return formatted if isinstance(formatted, str) else NOT_APPROVED

    async def _start(self, pending: PendingCall, tool: FunctionTool) -> bool:
        """Says that the tool begins, and waits until that has been heard; false if it must not."""
        session, call, agent = self._session, pending.call, pending.snapshot.agent
        event = session._local_events.stage(AgentToolStart(session.context, agent, tool, call))
        heard = session._local_events.dispatched(event)
        if not session._core.call_event(call.call_id, pending.connection_id, event):
            session._local_events.discard(event)
            return False
        cause.set(await heard)
        # A listener may have closed the session.
        return session._core.connection_id == pending.connection_id

    async def _invoke(self, pending: PendingCall, tool: FunctionTool, arguments: str) -> None:
        refusal = await self._input_guardrails(pending, tool, arguments)
        if not await self._start(pending, tool):
            return
        if refusal is not None:
            self._answer(pending, tool, refusal, respond=True)
            return
        result = await self._call(pending, tool, arguments)
        result = await self._output_guardrails(pending, tool, arguments, result)
        respond = not isinstance(result, BackgroundResult)
        content = result.content if isinstance(result, BackgroundResult) else result
        self._answer(pending, tool, tool_result_text(content), respond=respond)

    async def _call(self, pending: PendingCall, tool: FunctionTool, arguments: str) -> Any:
        context = self._tool_context(pending, tool, arguments)
        if runs_in_a_thread(tool):
            executor = self._session._hub.executor(self._execution.sync_workers)
            return await run_in_worker(executor, lambda: _invoke_plain(tool, context, arguments))
        return await invoke_function_tool(function_tool=tool, context=context, arguments=arguments)

    def _answer(
        self,
        pending: PendingCall,
        tool: FunctionTool,
        text: str,
        *,
        respond: bool,
        tell: bool = True,
    ) -> None:
        session, call = self._session, pending.call
        events = []
        if tell:
            event = AgentToolEnd(session.context, pending.snapshot.agent, tool, text, call)
            events.append(session._local_events.stage(event))
        if not session._core.tool_output(
            call.call_id, pending.connection_id, text, respond, events
        ):
            for token in events:
                session._local_events.discard(token)

    def _tool_context(self, pending: PendingCall, tool: FunctionTool, arguments: str) -> Any:
        """What the tool and its guardrails get: of their own each, so that none sees another's."""
        return tool_context(
            self._session.context,
            pending.snapshot.agent,
            name=tool.name,
            call_id=pending.call.call_id,
            arguments=arguments,
        )

    async def _input_guardrails(
        self, pending: PendingCall, tool: FunctionTool, arguments: str
    ) -> str | None:
        """What to answer in place of running the tool, if anything."""
        for guardrail in tool.tool_input_guardrails or ():
            agent = pending.snapshot.agent
            context = self._tool_context(pending, tool, arguments)
            data = ToolInputGuardrailData(context=context, agent=agent)  # type: ignore[arg-type]
            output = await guardrail.run(data)
            tripped = ToolInputGuardrailTripwireTriggered(guardrail=guardrail, output=output)
            if (message := _verdict(output, tripped)) is not None:
                return message
        return None

    async def _output_guardrails(
        self, pending: PendingCall, tool: FunctionTool, arguments: str, result: Any
    ) -> Any:
        for guardrail in tool.tool_output_guardrails or ():
            agent = pending.snapshot.agent
            context = self._tool_context(pending, tool, arguments)
            data = ToolOutputGuardrailData(
                context=context,
                agent=agent,  # type: ignore[arg-type]
                output=result,
            )
            output = await guardrail.run(data)
            tripped = ToolOutputGuardrailTripwireTriggered(guardrail=guardrail, output=output)
            if (message := _verdict(output, tripped)) is not None:
                return message
        return result

    async def _hand_off(self, pending: PendingCall, handoff: Handoff[Any, Any]) -> None:
        session, call, source = self._session, pending.call, pending.snapshot.agent
        agent = await handoff.on_invoke_handoff(session.context, call.arguments or "")
        snapshot = await prepare_agent(agent, session.context)
        payload = await session._payload(snapshot, switching=True)
        agent_version = session._agents.add(snapshot)
        events = [session._local_events.stage(AgentHandoff(session.context, source, agent))]
        events += session._mcp_tools_event(snapshot)
        session._local_events.take_over_on(events[0], agent_version)
        if not session._core.hand_off(
            call.call_id,
            pending.connection_id,
            agent_version,
            session._session_update(payload),
            events,
            # Without spaces, as the reference writes it.
            tool_result_text({"assistant": agent.name}),
        ):
            for token in events:
                session._local_events.discard(token)


def _verdict(output: ToolGuardrailFunctionOutput, tripped: Exception) -> str | None:
    """What a tool's guardrail puts in place of the tool's answer, if anything."""
    match output.behavior:
        case {"type": "reject_content", "message": str(message)}:
            return message
        case {"type": "raise_exception"}:
            raise tripped
        case _:
            return None


async def _invoke_plain(tool: FunctionTool, context: Any, arguments: str) -> Any:
    # Timeouts are for asynchronous tools only (`openai-agents` refuses them for others), so nothing
    # is lost by invoking the tool itself.
    result: Awaitable[Any] = tool.on_invoke_tool(context, arguments)
    return await result


def _parse(arguments: str) -> tuple[Any, bool]:
    try:
        return json.loads(arguments), True
    except ValueError:
        return None, False


def _approval_item(agent: Any, call: ToolCall, tool: FunctionTool) -> Any:
    raw = {
        "type": "function_call",
        "name": call.name,
        "call_id": call.call_id,
        "arguments": call.arguments,
        "id": call.item_id,
    }
    return approval_item(agent, raw, tool.name)
