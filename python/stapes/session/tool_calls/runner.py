"""Runs the model's function calls: approvals, tool guardrails, tools, handoffs."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import logging
from typing import TYPE_CHECKING, Any

from agents import FunctionTool, Handoff, ModelBehaviorError, ToolErrorFormatterArgs

from stapes.errors import ToolOutputNotSent
from stapes.events import AgentToolEnd, AgentToolStart, Error, SessionEvent, ToolCall
from stapes.session.agents.snapshot import check_realtime_agent, is_enabled
from stapes.session.failures import as_failure, ends_more, report_failure
from stapes.session.invocation import causing_sequence
from stapes.session.tool_calls.approvals import function_approval_item
from stapes.session.tool_calls.tool_guardrails import call_context, check_input, check_output
from stapes.session.tool_calls.tool_result import BackgroundResult, tool_result_text
from stapes.session.tool_calls.worker import run_in_worker
from stapes.session.upstream import (
    arguments_fit,
    invoke_function_tool,
    runs_in_a_thread,
    telling_failures,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stapes.approvals import ToolApproval
    from stapes.hub import LoopHub
    from stapes.session.agents.switching import AgentSwitching
    from stapes.session.completion import Completion
    from stapes.session.options import SessionOptions
    from stapes.session.scope import Scope
    from stapes.session.tool_calls.approvals import Approvals
    from stapes.session.tool_calls.pending import PendingCall

__all__ = ["ToolCallRunner"]

logger = logging.getLogger("stapes")

_MOST_NAMED = 20
"""Tools of an agent that an error names."""

TOOL_FAILED = "An error occurred while running the tool. Please try again."
NOT_APPROVED = "Tool execution was not approved."
BAD_ARGUMENTS = "An error occurred while parsing tool arguments. Please try again with valid JSON."


class ToolCallRunner:
    """Runs the calls of one session. The core refuses an act that comes too late.

    Args:
        scope: the session's.
        options: how tools run, and the formatter of rejections.
        hub: has the threads for synchronous tools.
        approvals: take the calls that wait for a decision.
        switching: takes the handoffs.
    """

    __slots__ = ("_approvals", "_hub", "_options", "_scope", "_slots", "_switching")

    def __init__(
        self,
        scope: Scope,
        options: SessionOptions,
        hub: LoopHub,
        approvals: Approvals,
        switching: AgentSwitching,
    ) -> None:
        self._scope = scope
        self._options = options
        self._hub = hub
        self._approvals = approvals
        self._switching = switching
        # Made for the first call: most sessions have few, and many have none.
        self._slots: asyncio.Semaphore | None = None

    async def run(self, pending: PendingCall) -> None:
        """Answers a call that came in."""
        async with self._slot():
            await self._answered(pending, self._dispatch(pending))
        if pending.not_sent is not None:
            self._scope.local_events.emit(_error(pending, pending.not_sent))

    def decide(
        self, approval: ToolApproval, *, approve: bool, always: bool, message: str | None = None
    ) -> Completion[None]:
        """Takes a person's decision; see `RealtimeSession.approve` and `reject`."""
        return self._approvals.decide(
            approval, self._resume, approve=approve, always=always, message=message
        )

    async def _resume(self, pending: PendingCall) -> None:
        """Goes on with a call that has been decided.

        Raises:
            stapes.ToolOutputNotSent: the connection was lost meanwhile.
        """
        tool = pending.tool
        assert tool is not None
        if not self._scope.core.resume_call(pending.call.call_id, pending.connection_id):
            return
        async with self._slot():
            await self._answered(pending, self._function(pending, tool))
        if pending.not_sent is not None:
            raise pending.not_sent

    async def _answered(self, pending: PendingCall, work: Awaitable[None]) -> None:
        """Awaits users' code; where it fails the model is answered all the same."""
        try:
            await work
        except BaseException as error:
            if ends_more(error):
                raise
            self._answer_failure(pending, error)

    def _slot(self) -> asyncio.Semaphore:
        """Holds a call's slot among those that may be at work."""
        if self._slots is None:
            self._slots = asyncio.Semaphore(self._options.tool_execution.max_concurrency)
        return self._slots

    async def _dispatch(self, pending: PendingCall) -> None:
        call, snapshot = pending.call, pending.snapshot
        context, agent = self._scope.context, snapshot.agent
        for tool in snapshot.functions:
            if tool.name == call.name and await is_enabled(tool, context, agent):
                return await self._function(pending, tool)
        for handoff in snapshot.handoffs:
            if handoff.tool_name == call.name and await is_enabled(handoff, context, agent):
                return await self._hand_off(pending, handoff)
        message = f"Tool {call.name} not found"
        names = [*(tool.name for tool in snapshot.functions)]
        names += (handoff.tool_name for handoff in snapshot.handoffs)
        has = f"{agent.name} has {', '.join(names[:_MOST_NAMED]) or 'no tools'}"
        error = Error(ModelBehaviorError(message), f"tool {call.name}: {has}", tool_call=call)
        return self._answer(pending, message, error)

    async def _function(self, pending: PendingCall, tool: FunctionTool) -> None:
        call, agent = pending.call, pending.snapshot.agent
        context = self._scope.context
        arguments = call.arguments or "{}"
        parsed, is_json = _parse(arguments)
        if not is_json and isinstance(tool.needs_approval, bool):
            # The call fails in any case: asking for approval would be in vain.
            return self._answer_bad_arguments(pending)
        if await self._needs_approval(tool, parsed, is_json, call):
            item = function_approval_item(agent, call, tool)
            decision = context.get_approval_status(tool.name, call.call_id, existing_pending=item)
            if decision is None:
                return await self._ask(pending, tool, item, arguments)
            self._approvals.decided(call.call_id, approve=decision)
            if decision is False:
                return await self._reject(pending, tool)
            if not is_json:
                return self._answer(pending, BAD_ARGUMENTS)
        return await self._invoke(pending, tool, arguments)

    async def _needs_approval(
        self, tool: FunctionTool, parsed: Any, is_json: bool, call: ToolCall
    ) -> bool:
        policy = tool.needs_approval
        if isinstance(policy, bool):
            return policy
        if not is_json or not isinstance(parsed, dict) or not arguments_fit(tool, call.arguments):
            return True
        result: Any = policy(self._scope.context, parsed, call.call_id)
        return bool(await result) if inspect.isawaitable(result) else bool(result)

    async def _ask(
        self, pending: PendingCall, tool: FunctionTool, item: Any, arguments: str
    ) -> None:
        if self._options.tool_execution.pre_approval_input_guardrails:
            refusal = await check_input(self._scope.context, pending, tool, arguments)
            if refusal is not None:
                return self._answer(pending, refusal)
        return self._approvals.ask(pending, tool, item)

    async def _reject(self, pending: PendingCall, tool: FunctionTool) -> None:
        call = pending.call
        if not await self._start(pending, tool):
            return
        message = self._scope.context.get_rejection_message(
            tool.name,
            call.call_id,
            existing_pending=function_approval_item(pending.snapshot.agent, call, tool),
        )
        if message is None:
            message = await self._format_rejection(tool, call)
        self._end(pending, tool, tool_result_text(message))

    async def _format_rejection(self, tool: FunctionTool, call: ToolCall) -> str:
        formatter = self._options.tool_error_formatter
        if formatter is None:
            return NOT_APPROVED
        try:
            formatted = formatter(
                ToolErrorFormatterArgs(
                    kind="approval_rejected",
                    tool_type="function",
                    tool_name=tool.name,
                    call_id=call.call_id,
                    default_message=NOT_APPROVED,
                    run_context=self._scope.context,
                )
            )
            if inspect.isawaitable(formatted):
                formatted = await formatted
        except BaseException as error:
            if ends_more(error):
                raise
            report_failure(self._scope.local_events, error, "tool_error_formatter")
            return NOT_APPROVED
        return formatted if isinstance(formatted, str) else NOT_APPROVED

    async def _invoke(self, pending: PendingCall, tool: FunctionTool, arguments: str) -> None:
        context = self._scope.context
        refusal = await check_input(context, pending, tool, arguments)
        if not await self._start(pending, tool):
            return
        if refusal is not None:
            self._end(pending, tool, refusal)
            return
        result = await self._call(pending, tool, arguments)
        if inspect.isawaitable(result):
            # Of a function that is not `async` itself, such as a lambda.
            result = await result
        _check_result(tool, result)
        result = await check_output(context, pending, tool, arguments, result)
        respond = not isinstance(result, BackgroundResult)
        content = result.content if isinstance(result, BackgroundResult) else result
        self._end(pending, tool, tool_result_text(content), respond=respond)

    async def _start(self, pending: PendingCall, tool: FunctionTool) -> bool:
        """Emits the tool's start and waits until everybody has got it; false if it must not run."""
        scope, call = self._scope, pending.call
        dispatched: list[asyncio.Future[int]] = []

        def announce(tokens: list[int]) -> bool:
            dispatched.append(scope.local_events.dispatched(tokens[0]))
            return scope.core.call_event(call.call_id, pending.connection_id, tokens[0])

        event = AgentToolStart(scope.context, pending.snapshot.agent, tool, call)
        if not scope.local_events.transact([event], announce):
            return False
        causing_sequence.set(await dispatched[0])
        # A listener may have closed the session.
        return scope.core.connection_id == pending.connection_id

    async def _call(self, pending: PendingCall, tool: FunctionTool, arguments: str) -> Any:
        context = call_context(self._scope.context, pending, tool, arguments)
        tool = telling_failures(tool, pending.failures.append)
        if runs_in_a_thread(tool):
            executor = self._hub.executor(self._options.tool_execution.sync_workers)
            work = functools.partial(_invoke_plain, tool, context, arguments)
            return await run_in_worker(executor, work)
        return await invoke_function_tool(function_tool=tool, context=context, arguments=arguments)

    async def _hand_off(self, pending: PendingCall, handoff: Handoff[Any, Any]) -> None:
        call = pending.call
        agent = await handoff.on_invoke_handoff(self._scope.context, call.arguments or "")
        check_realtime_agent(agent, f"what handoff {call.name!r} returned")
        # Without spaces, as the reference writes it.
        output = tool_result_text({"assistant": agent.name})
        sent = await self._switching.hand_off(
            call.call_id, pending.connection_id, pending.snapshot.agent, agent, output
        )
        if sent is False:
            pending.not_sent = ToolOutputNotSent(call.call_id, call.name, output)

    def _end(
        self, pending: PendingCall, tool: FunctionTool, text: str, *, respond: bool = True
    ) -> None:
        """Answers a call whose tool has begun."""
        agent = pending.snapshot.agent
        event = AgentToolEnd(self._scope.context, agent, tool, text, pending.call)
        failures = [self._failure(pending, error) for error in pending.failures]
        self._answer(pending, text, *failures, event, respond=respond)

    def _answer_bad_arguments(self, pending: PendingCall) -> None:
        call = pending.call
        error = ModelBehaviorError(f"the arguments of tool call {call.call_id} are not JSON")
        self._answer(pending, BAD_ARGUMENTS, _error(pending, error))

    def _answer_failure(self, pending: PendingCall, error: BaseException) -> None:
        """Answers the model, which would wait for ever, and reports the error.

        What the tool itself raised comes first: what failed after it may come of that.
        """
        raised = [one for one in pending.failures if one is not error]
        failures = [self._failure(pending, one) for one in (*raised, error)]
        self._answer(pending, TOOL_FAILED, *failures)

    def _failure(self, pending: PendingCall, error: BaseException) -> Error:
        """Logs what users' code raised; the event happens with the answer to the model."""
        where = f"tool {pending.call.name}"
        logger.error("%s failed", where, exc_info=error)
        return _error(pending, as_failure(error, where))

    def _answer(
        self, pending: PendingCall, text: str, *events: SessionEvent, respond: bool = True
    ) -> None:
        scope, call = self._scope, pending.call

        def answer(tokens: list[int]) -> bool:
            sent = scope.core.tool_output(
                call.call_id, pending.connection_id, text, respond, tokens
            )
            if sent is False:
                pending.not_sent = ToolOutputNotSent(call.call_id, call.name, text)
            return sent is not None

        scope.local_events.transact(events, answer)


def _error(pending: PendingCall, error: BaseException) -> Error:
    return Error(error, context=f"tool {pending.call.name}", tool_call=pending.call)


async def _invoke_plain(tool: FunctionTool, context: Any, arguments: str) -> Any:
    # Timeouts are for asynchronous tools only (`openai-agents` refuses them for others), so nothing
    # is lost by invoking the tool itself.
    result: Awaitable[Any] = tool.on_invoke_tool(context, arguments)
    return await result


def _check_result(tool: FunctionTool, result: Any) -> None:
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        raise TypeError(
            f"tool {tool.name!r} returned a generator, whose text says nothing to the model: "
            "return what it is to get, in place of yielding it"
        )


def _parse(arguments: str) -> tuple[Any, bool]:
    """The value, and whether the arguments are JSON at all."""
    try:
        return json.loads(arguments), True
    except ValueError:
        return None, False
