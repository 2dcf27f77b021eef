"""An agent under test."""

from __future__ import annotations

import asyncio
from typing import Any

from agents import (
    Agent,
    GuardrailFunctionOutput,
    RunContextWrapper,
    function_tool,
    output_guardrail,
)

from stapes import RealtimeAgent, current_session


@function_tool
def weather(city: str) -> str:
    """The weather in a city today."""
    return f"It is sunny in {city}."


@function_tool
async def slow(city: str) -> str:
    """Look up how many people live in a city."""
    await asyncio.sleep(0.05)
    return f"A million people live in {city}."


@function_tool
def broken() -> str:
    """Open the garage."""
    raise RuntimeError("the garage is stuck")


@function_tool
async def hang_up() -> str:
    """Say goodbye and hang up."""
    await current_session().close()
    return "Goodbye."


@function_tool(needs_approval=True)
def refund(booking_id: str, amount: float) -> str:
    """Refund an amount in dollars for a booking."""
    return f"I have refunded {amount:g} dollars for booking {booking_id}."


@output_guardrail(name="no secrets")
async def no_secrets(
    _context: RunContextWrapper[Any], _agent: Agent[Any], said: str
) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered="4711" in said)


billing = RealtimeAgent(
    name="Billing",
    handoff_description="Questions about a bill, payments and refunds.",
    instructions="You are the billing desk of a hotel.",
    tools=[refund],
)
agent = RealtimeAgent(
    name="Front desk",
    instructions="You are the front desk of a hotel.",
    tools=[weather, slow, broken, hang_up],
    handoffs=[billing],
)
