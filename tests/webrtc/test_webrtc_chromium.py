"""Calls with Chromium's own WebRTC: it answers our offer."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from browser_peer import BrowserPeer
from calling import KEY, SECONDS, Seen, eventually
from chromium import Chromium, needs_chromium
from tests.sounds import likeness

from stapes import Audio, AudioStopped, RealtimeAgent, RealtimeSession, WebRTCTransport
from stapes.devserver import ToneVoice

RATE = 24_000
SETTLING = 2 * RATE
"""Jitter buffers play a new stream faster and slower until they know the network."""

pytestmark = [pytest.mark.real_time, needs_chromium]


@pytest.fixture
async def far(tmp_path, stack) -> BrowserPeer:
    browser = await stack.enter_async_context(Chromium(tmp_path / "browser"))
    peer = BrowserPeer(browser)
    await peer.start()
    stack.push_async_callback(peer.stop)
    return peer


@pytest.fixture
async def session(far, stack) -> RealtimeSession[Any]:
    transport = WebRTCTransport(url=f"{far.origin}/v1/realtime/calls")
    agent = RealtimeAgent(name="front", instructions="Answer.")
    session: RealtimeSession[Any] = RealtimeSession(agent, transport=transport, api_key=KEY)
    return await stack.enter_async_context(session)


async def test_events_and_sound_go_both_ways_between_us_and_chromium(far, session) -> None:
    seen = Seen(session)
    pcm = (
        await ToneVoice().speak("one two three four five six seven", voice="caller", speed=1.0)
    ).pcm

    # To Chromium: as many events as we like, and sound.
    session.send_message("hello")
    await eventually_received(far, "conversation.item.create")
    session.send_audio(bytes(2 * SETTLING) + pcm, sample_rate=RATE)
    await asyncio.sleep((SETTLING + len(pcm) / 2) / RATE + 0.7)
    assert likeness(samples(pcm), samples((await far.heard()).tobytes())) > 0.9

    # From Chromium: an answer with sound, which belongs to the response that it names.
    where = {"response_id": "r1", "item_id": "i1", "output_index": 0, "content_index": 0}
    item = {"id": "i1", "object": "realtime.item", "type": "message", "role": "assistant"}
    part = {"type": "audio", "transcript": ""}
    await far.send("response.created", response={"id": "r1", "object": "realtime.response"})
    await far.send(
        "response.output_item.added", response_id="r1", output_index=0, item=item | {"content": []}
    )
    await far.send("response.content_part.added", **where, part=part)
    await far.send("output_audio_buffer.started", response_id="r1")
    await far.say(bytes(RATE) + pcm)
    await asyncio.sleep(0.5 + len(pcm) / 2 / RATE + 0.5)
    await far.send("output_audio_buffer.stopped", response_id="r1")
    await seen.until(AudioStopped)
    heard = seen.of(Audio)
    assert {(audio.response_id, audio.item_id) for audio in heard} == {("r1", "i1")}
    assert likeness(samples(pcm), samples(b"".join(audio.data for audio in heard))) > 0.9
    assert seen.errors == []


async def eventually_received(far: BrowserPeer, type_: str) -> None:
    async with asyncio.timeout(SECONDS):
        while not any(event["type"] == type_ for event in await far.received()):
            await asyncio.sleep(0.02)


async def test_a_browser_that_goes_ends_the_call(far, session) -> None:
    await far._browser.evaluate("far.connection.close()")
    await eventually(lambda: session.status == "disconnected")


def samples(pcm: bytes) -> Any:
    return np.frombuffer(pcm, "<i2").astype(float)
