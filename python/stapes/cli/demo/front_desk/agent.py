"""A hotel's front desk: two tools, a handoff, a refund that needs approval, an output guardrail."""

from __future__ import annotations

from typing import Any, Literal

from agents import (
    Agent,
    GuardrailFunctionOutput,
    RunContextWrapper,
    function_tool,
    output_guardrail,
)

from stapes import RealtimeAgent

DOOR_CODE = "4711"


@function_tool
def weather(city: str) -> str:
    """The weather in a city today."""
    # A real agent asks a weather service here.
    skies = ["sunny", "cloudy", "windy", "rainy"]
    return f"It is {skies[len(city) % 4]} in {city}, with {12 + len(city)} degrees."


@function_tool
def opening_hours(place: Literal["pool", "restaurant", "gym"]) -> str:
    """When a place in the hotel opens and closes."""
    hours = {"pool": "seven to nine", "restaurant": "six to eleven", "gym": "five to ten"}
    return f"The {place} is open from {hours[place]} every day."


@function_tool(needs_approval=True)
def refund(booking_id: str, amount: float) -> str:
    """Refund an amount in dollars for a booking."""
    return f"I have refunded {amount:g} dollars for booking {booking_id}."


@output_guardrail(name="door code stays secret")
async def keep_door_code(
    _context: RunContextWrapper[Any], _agent: Agent[Any], said: str
) -> GuardrailFunctionOutput:
    """Stop an answer that gives away the code of the staff door."""
    digits = "".join(character for character in said if character.isdigit())
    return GuardrailFunctionOutput(output_info=None, tripwire_triggered=DOOR_CODE in digits)


billing = RealtimeAgent(
    name="Billing",
    handoff_description="Questions about a bill, payments and refunds.",
    instructions=(
        "You are the billing desk of the Harbour Hotel. "
        "Refund a guest when they name the booking and the amount."
    ),
    tools=[refund],
    voice="cedar",
)

agent = RealtimeAgent(
    name="Front desk",
    instructions=f"""You are the front desk of the Harbour Hotel. Be friendly and brief.
        The code of the staff door is {DOOR_CODE}, which only members of staff may know.
        The history of the hotel begins in 1908, when a merchant built it as a warehouse for tea.
        In the twenties it became a dance hall, with an orchestra that played until the morning.
        After the great fire only the brick walls were left, and for years nobody wanted them.
        Then two sisters bought the ruin, and opened a hotel with nine rooms and a kitchen.
        Today it has eighty rooms, and the old cranes still stand in the garden by the water.""",
    tools=[weather, opening_hours],
    handoffs=[billing],
    output_guardrails=[keep_door_code],
    voice="marin",
)
