"""What a guardrail says when it trips is users' code: the answer is stopped whatever it does."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail
from calling import SECONDS

from stapes import GuardrailTripped

if TYPE_CHECKING:
    from stapes import RealtimeAgent


class Unwritable:
    def __str__(self) -> str:
        raise LookupError("no words")


class OddModel:
    def model_dump(self, **_: Any) -> Any:
        raise asyncio.CancelledError


def deep() -> list[Any]:
    made: list[Any] = []
    for _ in range(100_000):
        made = [made]
    return made


async def feedback(c: Any) -> str:
    """What the model is told of its answer."""
    async with asyncio.timeout(SECONDS):
        event = await c.call.received.wait_for(lambda e: "was blocked" in str(e))
    return str(event["item"]["content"][0]["text"])


async def trip(info: Any, _: Any, __: RealtimeAgent[Any], ___: str) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info=info, tripwire_triggered=True)


@pytest.mark.parametrize(
    "info", [Unwritable(), OddModel(), deep()], ids=lambda it: type(it).__name__
)
async def test_info_that_cannot_be_written_stops_the_answer_all_the_same(call, info):
    guardrail = OutputGuardrail(functools.partial(trip, info), name="secrets")
    c = await call(output_guardrails=[guardrail])
    c.session.send_message("hello")
    tripped = await c.seen.until(GuardrailTripped)
    said = await feedback(c)
    assert "Failed Guardrail Reason: secrets." in said
    assert f"the output_info, {type(info).__name__}, cannot be written as text" in said
    assert tripped.error.guardrail_result.output.output_info is info
    await c.session.close()


async def test_a_guardrail_that_has_no_name_stops_the_answer_all_the_same(call):
    c = await call(output_guardrails=[OutputGuardrail(functools.partial(trip, {"why": "x"}))])
    c.session.send_message("hello")
    await c.seen.until(GuardrailTripped)
    assert 'Failure Details: {"why":"x"}.' in await feedback(c)
    await c.session.close()
