"""A call through a network that loses one packet in twenty and makes the others late."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from calling import KEY, Seen, spoken
from lossy import LossyNetwork

from stapes import (
    Audio,
    AudioStopped,
    HistoryUpdated,
    MediaChanged,
    RealtimeAgent,
    RealtimeSession,
    WebRTCTransport,
)
from stapes.devserver import DevServer, Options, ScriptedMind

pytest.importorskip("aiortc", reason="the far side of these calls is aiortc")

RATE = 24_000
SENTENCE = "One two three four five six seven eight nine ten, and so it goes on and on."


@pytest.mark.real_time
async def test_a_conversation_goes_on_through_loss_and_jitter(stack) -> None:
    mind = ScriptedMind(hears=["hello"], otherwise=SENTENCE)
    server = await stack.enter_async_context(DevServer(mind, None, Options()))
    network = await stack.enter_async_context(LossyNetwork(server.calls_url, seed=7))
    agent = RealtimeAgent(name="front", instructions="Answer.")
    transport = WebRTCTransport(url=network.url)
    session: RealtimeSession[Any] = RealtimeSession(agent, transport=transport, api_key=KEY)
    seen = Seen(session)
    await stack.enter_async_context(session)
    network.spoil(loss=0.05, jitter_s=0.050)

    # A spoken turn is heard and answered, and the answer is heard.
    session.send_audio(await spoken("Hello there, is anybody at home?"))
    session.send_audio(bytes(RATE * 2))
    await seen.until(HistoryUpdated, lambda event: "hello" in str(list(event.history)))
    async with asyncio.timeout(15):
        while not seen.of(AudioStopped):
            await asyncio.sleep(0.02)
    heard = b"".join(event.data for event in seen.of(Audio))
    said = np.frombuffer(bytes(server_sound(server)), "<i2")

    # All of it came, in its time: what was lost was made up for, and nothing was left out.
    assert abs(len(heard) / 2 - len(said)) < 0.3 * RATE
    sound = session.transport.sound
    assert sound is not None
    assert 0 < sound.concealed < 0.12
    assert sound.target <= 0.2
    assert network.lost > 0
    # The next turn as well.
    session.send_message("And again.")
    async with asyncio.timeout(15):
        while len(seen.of(AudioStopped)) < 2:
            await asyncio.sleep(0.02)
    assert seen.errors == []


async def test_a_blackout_is_said_and_counted_and_the_counts_stay_after_the_end(stack) -> None:
    server = await stack.enter_async_context(DevServer(ScriptedMind(otherwise=SENTENCE)))
    network = await stack.enter_async_context(LossyNetwork(server.calls_url))
    transport = WebRTCTransport(url=network.url, stalled_after=0.5)
    session: RealtimeSession[Any] = RealtimeSession(
        RealtimeAgent(name="front"), transport=transport, api_key=KEY
    )
    assert session.transport.sound is None
    seen = Seen(session)
    await session.connect()
    session.send_message("Go on.")
    await seen.until(Audio, count=5)
    network.spoil(loss=1.0, jitter_s=0.0)
    stalled = await seen.until(MediaChanged)
    network.spoil(loss=0.0, jitter_s=0.0)
    resumed = await seen.until(MediaChanged, count=2)
    assert (stalled.status, resumed.status) == ("stalled", "resumed")
    await seen.until(AudioStopped)
    await session.close()
    sound = session.transport.sound
    assert sound is not None
    assert sound.packets_lost > 10
    # A gap of that length is not filled.
    assert 0.2 < sound.missing < resumed.silence + 0.2
    assert seen.errors == []


def server_sound(server: DevServer) -> bytearray:
    """All that the server's conversation has said."""
    conversation = server.calls[0].call._context.conversation
    return bytearray().join(
        part.pcm for item in conversation if item.role == "assistant" for part in item.parts
    )
