"""Agents with tools, handoffs and guardrails that fail in every way, and wait for the test."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import (
    FunctionTool,
    GuardrailFunctionOutput,
    OutputGuardrail,
    RunContextWrapper,
    ToolGuardrailFunctionOutput,
    ToolInputGuardrail,
    function_tool,
)
from agents.realtime import realtime_handoff
from agents.tool_context import ToolContext

from stapes import RealtimeAgent, RealtimeSession, background_result, current_session

if TYPE_CHECKING:
    import random

OUTCOMES = ("return", "return", "return", "raise", "cancelled", "background")


class Failure(Exception):
    """What users' code raises."""


@dataclass(slots=True)
class Run:
    """A tool that runs, or has run."""

    name: str
    gate: asyncio.Future[str]
    outcome: str | None = None
    """How it ended."""


@dataclass(slots=True)
class Stage:
    """One conversation's users' code: `ctx.context` of its tools.

    Attributes:
        rng: draws what policies and guardrails do.
        runs: by call id.
        complaints: what was wrong in users' code, by rule.
    """

    rng: random.Random
    session: RealtimeSession[Any] | None = None
    runs: dict[str, Run] = field(default_factory=dict)
    complaints: list[tuple[str, str]] = field(default_factory=list)
    calm: bool = False

    def complain(self, rule: str, what: str) -> None:
        self.complaints.append((rule, what))

    def check_session(self, where: str) -> None:
        try:
            found = current_session()
        except LookupError as error:
            self.complain("current_session", f"{where}: {error}")
        else:
            if found is not self.session:
                self.complain("current_session", f"{where}: another session")

    async def run(self, ctx: ToolContext[Any], outcome: str | None = None) -> Any:
        """A tool, which ends as `outcome` says, or as its gate is told to."""
        call_id, name = ctx.tool_call_id, ctx.tool_name
        self.check_session(f"tool {name}")
        if call_id in self.runs:
            self.complain("tool_runs_once", f"{name} runs for {call_id} again")
        run = Run(name, asyncio.get_running_loop().create_future())
        self.runs[call_id] = run
        if outcome is None:
            outcome = await run.gate
        run.outcome = outcome
        return self.end(outcome)

    def end(self, outcome: str) -> Any:
        match outcome:
            case "raise":
                raise Failure("as it was told to")
            case "cancelled":
                raise asyncio.CancelledError
            case "background":
                return background_result("later")
        return "done"

    @property
    def waiting(self) -> list[Run]:
        return [run for run in self.runs.values() if not run.gate.done() and run.outcome is None]


Context = ToolContext[Any]


@function_tool
async def quick(ctx: Context) -> Any:
    return await ctx.context.run(ctx, "return")


@function_tool
async def fails(ctx: Context) -> Any:
    return await ctx.context.run(ctx, "raise")


@function_tool
async def cancels(ctx: Context) -> Any:
    return await ctx.context.run(ctx, "cancelled")


@function_tool
async def gated(ctx: Context) -> Any:
    return await ctx.context.run(ctx)


@function_tool(failure_error_function=None)
async def strict(ctx: Context) -> Any:
    return await ctx.context.run(ctx)


@function_tool(needs_approval=True)
async def asking(ctx: Context) -> Any:
    return await ctx.context.run(ctx)


async def _policy(ctx: RunContextWrapper[Any], arguments: dict[str, Any], call_id: str) -> bool:
    stage: Stage = ctx.context
    stage.check_session("approval policy")
    outcome = stage.rng.choice([*OUTCOMES[:5], "ask"])
    if outcome in ("raise", "cancelled"):
        stage.runs[call_id] = Run("choosy", asyncio.get_running_loop().create_future(), outcome)
    stage.end(outcome)
    return outcome == "ask"


@function_tool(needs_approval=_policy)
async def choosy(ctx: Context) -> Any:
    return await ctx.context.run(ctx, "return")


async def _check_input(data: Any) -> ToolGuardrailFunctionOutput:
    stage: Stage = data.context.context
    stage.check_session("tool guardrail")
    outcome = stage.rng.choice([*OUTCOMES[:5], "reject"])
    if outcome in ("raise", "cancelled"):
        run = Run("guarded", asyncio.get_running_loop().create_future(), outcome)
        stage.runs[data.context.tool_call_id] = run
    stage.end(outcome)
    if outcome == "reject":
        return ToolGuardrailFunctionOutput.reject_content("no")
    return ToolGuardrailFunctionOutput.allow()


@function_tool
async def guarded(ctx: Context) -> Any:
    return await ctx.context.run(ctx, "return")


guarded.tool_input_guardrails = [ToolInputGuardrail(guardrail_function=_check_input)]

TOOLS: list[FunctionTool] = [quick, fails, cancels, gated, strict, asking, choosy, guarded]


async def _check_output(ctx: Any, agent: Any, text: Any) -> GuardrailFunctionOutput:
    stage: Stage = ctx.context
    stage.check_session("output guardrail")
    chance = 1.0 if stage.calm else stage.rng.random()
    if chance < 0.03:
        raise Failure("guardrail")
    if chance < 0.06:
        raise asyncio.CancelledError
    return GuardrailFunctionOutput(output_info={}, tripwire_triggered=chance < 0.15)


GUARDRAIL: OutputGuardrail[Any] = OutputGuardrail(guardrail_function=_check_output)


def _on_broken_handoff(ctx: RunContextWrapper[Any]) -> None:
    ctx.context.check_session("handoff")
    if ctx.context.rng.random() < 0.5:
        raise Failure("handoff")
    raise asyncio.CancelledError


def _cast() -> tuple[RealtimeAgent[Any], ...]:
    desk: RealtimeAgent[Any] = RealtimeAgent(
        name="Desk", instructions="Be the desk.", voice="marin", tools=list(TOOLS)
    )
    silent: RealtimeAgent[Any] = RealtimeAgent(name="Silent", tools=list(TOOLS))
    billing: RealtimeAgent[Any] = RealtimeAgent(
        name="Billing", instructions="Be exact.", voice="cedar", tools=list(TOOLS)
    )
    broken = realtime_handoff(
        billing, tool_name_override="transfer_to_Broken", on_handoff=_on_broken_handoff
    )
    for agent in (desk, silent, billing):
        others = [other for other in (desk, silent, billing) if other is not agent]
        agent.handoffs = [*others, broken]
    return desk, silent, billing


AGENTS = _cast()
CALLABLE = (
    *(tool.name for tool in TOOLS),
    "gated",
    "transfer_to_Desk",
    "transfer_to_Silent",
    "transfer_to_Billing",
    "transfer_to_Broken",
    "no_such_tool",
)
