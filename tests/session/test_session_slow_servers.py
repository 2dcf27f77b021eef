"""A server that stops reading: what waits for it is bounded, and nobody else feels it."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import Any

from calling import KEY, SECONDS, eventually

from stapes import AgentEnd, ConnectionChanged, RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.devserver import ScriptedMind, Turn

TALK = ScriptedMind([Turn(say="Hello there.")])
MEGABYTE = 1024 * 1024


def session_to(url: str, **limits: Any) -> RealtimeSession[Any]:
    transport = WebSocketTransport(url=url, close_timeout=0.05, **limits)
    return RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=transport, reconnect=None
    )


def chunk(number: int) -> bytes:
    """Give a second of sound that says its number."""
    return number.to_bytes(2, "little") * 24_000


async def test_sound_that_nobody_awaits_is_dropped_oldest_first(run):
    server = await run(TALK)
    async with session_to(server.url, max_outgoing_bytes=MEGABYTE) as session:
        call = await server.next_call()
        call.stop_reading()
        sent = 0
        with suppress(TimeoutError):
            # Until the kernel takes no more.
            async with asyncio.timeout(1):
                while True:
                    sent += 1
                    await session.send_audio(chunk(sent - 1))
        while session.probe.traffic()[3] < 30:
            session.send_audio(chunk(sent))
            sent += 1
        dropped = session.probe.traffic()[3]
        call.resume_reading()
        # The last one is never dropped for room.
        await eventually(lambda: numbers(call)[-1:] == [sent - 1])
        arrived = numbers(call)
        missing = sorted(set(range(sent)) - set(arrived))
        assert arrived == sorted(arrived)
        assert len(missing) == dropped
        # What the kernel had taken was the oldest; of what waited here the oldest went.
        assert missing == list(range(missing[0], missing[0] + dropped))


def numbers(call: Any) -> list[int]:
    appended = call.received.of("input_audio_buffer.append")
    return [
        int.from_bytes(base64.b64decode(event["audio"][:4])[:2], "little") for event in appended
    ]


async def test_a_server_that_reads_no_messages_loses_the_connection_by_name(run):
    server = await run(TALK)
    session = session_to(server.url, max_outgoing_bytes=MEGABYTE)
    changes = session.events(ConnectionChanged)
    async with session:
        (await server.next_call()).stop_reading()
        for _ in range(1_000):
            if session.status != "connected":
                break
            session.transport.send_event({"type": "note", "text": "a" * 100_000})
        assert session.status == "disconnected"
        async with asyncio.timeout(SECONDS):
            reasons = [change.reason async for change in changes]
    assert "the server does not read" in (reasons[-1] or "")
    assert "max_outgoing_bytes is 1048576" in (reasons[-1] or "")


async def test_the_stall_of_one_session_is_not_felt_by_its_neighbours(run):
    server = await run(TALK)
    stalled = session_to(server.url)
    # Of its events nobody reads any, and its server reads nothing.
    stalled.events()
    neighbour = session_to(server.url)
    async with stalled, neighbour:
        call = await server.next_call()
        assert (await server.next_call()) is not call
        call.stop_reading()
        completion = stalled.send_audio(chunk(0))
        while stalled.probe.traffic()[3] == 0:
            completion = stalled.send_audio(chunk(0))
        waiting = asyncio.ensure_future(_awaited(completion))
        ends = neighbour.events(AgentEnd)
        for _ in range(3):
            neighbour.send_message("hi")
            await neighbour.send_audio(chunk(1))
            async with asyncio.timeout(SECONDS):
                assert (await anext(ends)).output == "Hello there."
        assert not waiting.done()
        call.resume_reading()
        async with asyncio.timeout(SECONDS):
            await waiting


async def _awaited(completion: Any) -> None:
    await completion
