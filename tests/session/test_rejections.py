"""What the model gets in place of what a person, a formatter or a guardrail has rejected."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import (
    ToolGuardrailFunctionOutput,
    function_tool,
    tool_input_guardrail,
    tool_output_guardrail,
)
from calling import SECONDS

from stapes import AgentEnd, RealtimeAgent, ToolApprovalRequested
from stapes.devserver import Call, ScriptedMind, Turn

ASK = ScriptedMind([Turn(when="ask", call=Call("tool", {})), Turn(say="Well.")])
HALF_PAIR = "no \ud83d"


def agent_with(ran: list[str], **options: Any) -> RealtimeAgent[Any]:
    @function_tool(**options)
    async def tool() -> str:
        """Work."""
        ran.append("tool")
        return "a secret"

    return RealtimeAgent(name="front", instructions="Help.", tools=[tool])


async def answer_to(c: Any) -> str:
    async with asyncio.timeout(SECONDS):
        event = await c.call.received.wait_for(
            lambda e: e.get("item", {}).get("type") == "function_call_output"
        )
    return str(event["item"]["output"])


@pytest.mark.parametrize("by", ["person", "formatter"])
async def test_half_a_surrogate_pair_in_a_rejection_costs_its_character_alone(call, by):
    formatter = {"tool_error_formatter": lambda _: HALF_PAIR} if by == "formatter" else {}
    c = await call(ASK, agent_with([], needs_approval=True), **formatter)
    c.session.send_message("ask")
    approval = (await c.seen.until(ToolApprovalRequested)).approval
    await c.session.reject(approval, message=HALF_PAIR if by == "person" else None)
    assert await answer_to(c) == "no \ufffd"
    assert c.seen.errors == []
    await c.seen.until(AgentEnd, count=2)


async def test_a_message_that_is_no_text_is_refused_and_the_call_waits_on(call):
    c = await call(ASK, agent_with([], needs_approval=True))
    c.session.send_message("ask")
    approval = (await c.seen.until(ToolApprovalRequested)).approval
    with pytest.raises(TypeError, match="message must be text or None, not int"):
        c.session.reject(approval, message=404)
    await c.session.approve(approval)
    assert await answer_to(c) == "a secret"
    await c.seen.until(AgentEnd, count=2)


@pytest.mark.parametrize("message", [404, None, HALF_PAIR])
@pytest.mark.parametrize("of", ["input", "output"])
async def test_a_tool_guardrail_rejects_whatever_its_message_is(call, of, message):
    def reject(_: Any) -> ToolGuardrailFunctionOutput:
        return ToolGuardrailFunctionOutput.reject_content(message)

    ran: list[str] = []
    guardrail = {
        "input": {"tool_input_guardrails": [tool_input_guardrail(reject)]},
        "output": {"tool_output_guardrails": [tool_output_guardrail(reject)]},
    }[of]
    c = await call(ASK, agent_with(ran, **guardrail))
    c.session.send_message("ask")
    assert await answer_to(c) == {404: "404", None: "null", HALF_PAIR: "no \ufffd"}[message]
    assert ran == ([] if of == "input" else ["tool"])
    assert c.seen.errors == []
    await c.seen.until(AgentEnd, count=2)
