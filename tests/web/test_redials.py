"""stapes.js where a line over WebRTC broke, and the first that is dialled in its place fails."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from tests.calls.test_twilio_calls import until
from webrtc_page import CLOSED, HOLDS_LINES, Page

from stapes._core import calls as core
from stapes.calls import CallResumed

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import needs_chromium

pytestmark = [
    pytest.mark.real_time,
    needs_chromium,
    pytest.mark.skipif(not core.HAS_WEBRTC, reason="the core was built without WebRTC"),
]


async def taken_over_unheard(talk: Page) -> None:
    """The line breaks; on the next the server takes the call over, and cannot say so."""
    await talk.browser.evaluate("holds = true; channels[0].close(); 0")
    await talk.browser.until("held")
    talk.network.answers_pass = False
    await talk.browser.evaluate("letGo()")
    await until(lambda: any(isinstance(it, CallResumed) for it in talk.desk.events))


async def test_a_websocket_takes_the_call_over_from_a_line_that_failed(page):
    talk = await page("reconnect: 20", before=HOLDS_LINES)
    browser = talk.browser
    await taken_over_unheard(talk)
    await browser.until("of('started').length === 2 || call.state === 'ended'")
    assert await browser.evaluate("of('ended')") == []
    assert await browser.evaluate("of('started')[1].resumed")
    assert await browser.evaluate("transports.map(([transport]) => transport)") == [
        "webrtc",
        "websocket",
    ]
    await browser.until(CLOSED)
    await browser.evaluate("call.say('Hello')")
    await until(lambda: talk.is_told("Hello"))
    [call] = talk.desk.calls
    assert talk.network.hang_ups == 0
    await browser.evaluate("call.end()")
    assert (await asyncio.wait_for(call.ended(), 5)).by == "caller"
    assert browser.problems == []


async def test_the_next_line_over_webrtc_takes_the_call_over_from_one_that_failed(page):
    talk = await page("transport: 'webrtc', reconnect: 20", before=HOLDS_LINES)
    browser = talk.browser
    await taken_over_unheard(talk)
    talk.network.offers_pass = False
    await until(lambda: talk.network.offers > 2)
    talk.network.answers_pass = talk.network.offers_pass = True
    await browser.until("of('started').length === 2 || call.state === 'ended'")
    assert await browser.evaluate("of('ended')") == []
    assert await browser.evaluate("of('started')[1].resumed")
    await browser.until("connections.slice(0, -1).every(isClosed)")
    await browser.evaluate("call.say('Hello')")
    await until(lambda: talk.is_told("Hello"))
    [call] = talk.desk.calls
    await browser.evaluate("call.end()")
    assert (await asyncio.wait_for(call.ended(), 5)).reason == "the page hung up"


async def test_end_hangs_up_on_the_line_that_failed_while_another_is_dialled(page):
    talk = await page("transport: 'webrtc', reconnect: 20", before=HOLDS_LINES)
    [call] = talk.desk.calls
    await taken_over_unheard(talk)
    talk.network.offers_pass = False
    await until(lambda: talk.network.offers > 2)
    # It is still to be saved.
    assert talk.network.hang_ups == 0
    await talk.browser.evaluate("call.end()")
    ended = await asyncio.wait_for(call.ended(), 5)
    assert (ended.by, ended.reason) == ("caller", "the page hung up")
    await talk.browser.until(CLOSED)


async def test_a_call_that_is_given_up_is_hung_up_on_the_line_that_failed(page):
    talk = await page("transport: 'webrtc', reconnect: 1", before=HOLDS_LINES)
    [call] = talk.desk.calls
    await taken_over_unheard(talk)
    await talk.browser.until("call.state === 'ended'")
    ended = await asyncio.wait_for(call.ended(), 5)
    assert (ended.by, ended.reason) == ("caller", "the page hung up")
    [shown] = await talk.browser.evaluate("of('ended')")
    assert shown["code"] == "lost"
    await talk.browser.until(CLOSED)
