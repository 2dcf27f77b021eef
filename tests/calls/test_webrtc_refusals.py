"""What an application cannot do with a call of a page over WebRTC."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.calls.test_twilio_calls import until
from tests.calls.test_webrtc_calls import Waiting, listening
from tests.calls.webrtc_page import WebRTCPage

from stapes.calls import WebRTCCall


async def test_a_call_that_cannot_be_answered_is_over():
    async with WebRTCPage("http://unused") as page:
        call = WebRTCCall()
        with pytest.raises(ValueError, match="localhost"):
            await call.answer(await page.offer(), local_address="localhost")
        assert call.is_over


@pytest.mark.parametrize("value", [math.nan, -math.inf, {"deep": [math.nan]}, object()])
async def test_what_is_no_json_is_not_sent_to_a_page(value: Any):
    waiting = Waiting()
    async with listening(waiting) as url, WebRTCPage(url) as page:
        await page.start()
        await until(lambda: waiting.calls)
        with pytest.raises(TypeError, match="JSON"):
            waiting.calls[0].send_message(value)
        circle: list[Any] = []
        circle.append(circle)
        with pytest.raises(TypeError, match="Circular"):
            waiting.calls[0].send_message(circle)
