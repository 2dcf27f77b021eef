"""Calls of web pages over WebRTC: by WHIP at the listener, and by any framework's route."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.calls.test_twilio_calls import Desk, sound_of, speak, until
from tests.calls.webrtc_page import RATE, WebRTCPage, correlation

from stapes.calls import CallServer
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def sweep(seconds: float) -> np.ndarray:
    """Sound whose place is known."""
    times = np.arange(int(RATE * seconds)) / RATE
    return (9_000 * np.sin(2 * np.pi * (300 + 200 * times) * times)).astype("<i2")


@asynccontextmanager
async def listening(answer: Any, **options: Any) -> AsyncIterator[str]:
    """A listener that `answer` answers for: the URL."""
    server = CallServer(port=0)
    server.browser("/talk", **options)(answer)
    async with server:
        yield f"http://127.0.0.1:{server.port}/talk"


async def test_sound_passes_both_ways_without_python():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, WebRTCPage(url, room="12") as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            assert (call.id, call.carrier, call.sample_rate) == (page.call_id, "browser", RATE)
            assert call.parameters == {"room": "12"}
            await page.until(lambda: page.messages)
            assert page.messages[0] == {"type": "started", "resumed": False}
            said = sweep(1.0)
            page.microphone.say(said.tobytes())
            found = 0.0
            async with asyncio.timeout(10):
                while found < 0.9:
                    await asyncio.sleep(0.05)
                    got = np.frombuffer(sound_of(model.received), dtype="<i2")
                    found = correlation(said, got)
            answer = sweep(1.5)
            await speak(model, answer.tobytes())
            await page.until(lambda: correlation(answer, page.samples) > 0.9)
            page.send({"type": "end"})
            assert (await call.ended()).by == "caller"
            assert call.sound is not None
            assert call.sound.packets_sent >= 75
