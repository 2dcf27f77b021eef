"""Keys that the application presses."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.calls.test_call_endings import START, called
from tests.conformance.far_end import TwilioSocket

from stapes.calls import AsgiCall, CallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def presses() -> AsyncIterator[tuple[AsgiCall, list[str]]]:
    """A call of a carrier that takes keys, and the keys that it was sent."""
    pressed: list[str] = []

    def take(message: dict[str, Any]) -> None:
        if message["event"] == "dtmf":
            pressed.append(message["dtmf"]["digit"])

    socket = TwilioSocket(take)
    socket.say(json.dumps(START))
    async with AsgiCall(socket, carrier="signalwire") as call:
        yield call, pressed
        call.hang_up()


async def test_keys_are_pressed_in_order() -> None:
    async with presses() as (call, pressed):
        call.send_dtmf("1*#aD")
    assert "".join(pressed).upper() == "1*#AD"


@pytest.mark.parametrize("digits", ["12x4", "12 ", "1é"])
async def test_where_one_is_no_key_none_is_pressed(digits: str) -> None:
    async with presses() as (call, pressed):
        with pytest.raises(ValueError, match="digits has a character that is no key"):
            call.send_dtmf(digits)
    assert pressed == []


@pytest.mark.parametrize("digits", [12, ["1", 2], None, b"12"])
async def test_what_is_no_text_is_refused_by_name(digits: Any) -> None:
    async with presses() as (call, pressed):
        with pytest.raises(TypeError, match=f"digits must be text, not {type(digits).__name__}"):
            call.send_dtmf(digits)
    assert pressed == []


async def test_a_carrier_that_takes_none_says_so() -> None:
    async with called() as (call, _):
        with pytest.raises(CallError, match="twilio sends no keys"):
            call.send_dtmf("1")
