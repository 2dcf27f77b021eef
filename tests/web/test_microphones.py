"""stapes.js where another microphone takes over while a line is dialled."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tests.calls.test_twilio_calls import until
from webrtc_page import HOLDS_LINES, Page

from stapes._core import calls as core

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import needs_chromium

pytestmark = [
    pytest.mark.real_time,
    needs_chromium,
    pytest.mark.skipif(not core.HAS_WEBRTC, reason="the core was built without WebRTC"),
]

# Where a line stands that is dialled: before `start`, or before its audio thread.
STAGES = [("webrtc", "holds"), ("websocket", "holds"), ("websocket", "holdsModules")]
OPTIONS = [
    *((f"transport: '{transport}'", stage) for transport, stage in STAGES),
    *(("carrier: new stapes.WebSocketCarrier()", stage) for stage in ("holds", "holdsModules")),
]


async def unplugged_while_held(talk: Page) -> None:
    """Another microphone takes over while the line is held back; then the line goes on."""
    await talk.browser.until("held")
    await talk.browser.evaluate("tracks[0].stop(); tracks[0].onended(); 0")
    await talk.browser.until("tracks.length === 2 && tracks[1].readyState === 'live'")
    await talk.browser.evaluate("letGo()")


async def is_heard(talk: Page, stands: str) -> None:
    """The model gets the beeps of the microphone over the line that came up."""
    await talk.browser.until(stands)
    got = len(talk.heard())
    await until(lambda: np.abs(talk.heard()[got:]).max(initial=0) > 1_000)
    assert await talk.browser.evaluate("of('error')") == []


@pytest.mark.parametrize(("options", "stage"), OPTIONS)
async def test_a_microphone_is_replaced_while_the_call_is_made(page, options, stage):
    talk = await page(heard=None, calls=False, before=HOLDS_LINES)
    await talk.browser.evaluate(f"{stage} = true; dial({{ {options} }}); 0")
    await unplugged_while_held(talk)
    await is_heard(talk, "of('agent').length")
    assert talk.browser.problems == []


@pytest.mark.parametrize(("transport", "stage"), STAGES)
async def test_a_microphone_is_replaced_while_a_line_is_dialled_again(page, transport, stage):
    talk = await page("reconnect: 20", heard=None, before=HOLDS_LINES)
    talk.network.offers_pass = transport == "webrtc"
    await talk.browser.evaluate(f"{stage} = true; channels[0].close(); 0")
    await unplugged_while_held(talk)
    await is_heard(talk, "of('started').length === 2")
    assert await talk.browser.evaluate("call.transport") == transport
