"""A slow reader has bounded memory: sound is dropped by name, and what may not be lost ends it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from calling import KEY, SECONDS, eventually
from elsewhere import SPEECH, RudeElsewhere, block_until

from stapes import (
    AgentEnd,
    Audio,
    AudioStopped,
    ConnectionChanged,
    ConsumerTooSlow,
    Error,
    HistoryUpdated,
    Lagging,
    RealtimeAgent,
    RealtimeSession,
    TranscriptDelta,
    TransportEvent,
    WebSocketTransport,
)
from stapes.devserver import ScriptedMind, Turn
from stapes.testing import ScriptedServer, held_reader, settle

LONG = ScriptedMind([Turn(say="word " * 300)])
COMPLAINT = json.dumps({"type": "error", "error": {"message": "no"}})
"""What may not be lost."""


def session_to(url: str, **options: Any) -> Any:
    transport = WebSocketTransport(url=url, close_timeout=0.05)
    return RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, transport=transport, **options)


async def complain(c: Any, count: int) -> None:
    """Makes the server send 60 errors, which may not be lost: there are `count` then."""
    for _ in range(60):
        c.session.transport.send_event({"type": "nonsense"})
    await c.seen.until(Error, count=count)


async def test_a_reader_that_lags_loses_the_oldest_sound_and_is_told_how_much(call):
    c = await call(LONG, max_queued_bytes=48_000)
    slow = c.session.events(Audio, AudioStopped, Lagging)
    c.session.send_message("talk")
    await c.seen.until(AgentEnd)
    await c.session.close()
    async with asyncio.timeout(SECONDS):
        first, *rest = [event async for event in slow]
    assert isinstance(first, Lagging)
    kept = [event for event in rest if isinstance(event, Audio)]
    all_sound = c.seen.of(Audio)
    made = c.call.sent.of("response.output_audio.delta")
    assert first.audio == len(made) - len(kept) > 0
    assert kept == all_sound[-len(kept) :]
    assert sum(len(event.data) for event in kept) <= 48_000
    assert isinstance(rest[-1], AudioStopped)


async def test_a_reader_is_told_of_raw_events_that_it_lost(call):
    c = await call(LONG, max_queued_events=20)
    slow = c.session.events(TransportEvent, AgentEnd, Lagging)
    c.session.send_message("talk")
    await c.seen.until(AgentEnd)
    async with asyncio.timeout(SECONDS):
        first = await anext(slow)
    assert isinstance(first, Lagging)
    assert first.transport_events > 20


async def test_raw_events_count_by_their_bytes_as_well(call):
    c = await call(LONG, max_queued_bytes=30_000)
    slow = c.session.events(TransportEvent, Lagging)
    c.session.send_message("talk")
    await c.seen.until(AgentEnd)
    await c.session.close()
    async with asyncio.timeout(SECONDS):
        first, *rest = [event async for event in slow]
    assert isinstance(first, Lagging)
    kept = [event for event in rest if isinstance(event, TransportEvent)]
    assert 0 < sum(len(json.dumps(event.event)) for event in kept) < 40_000
    # What the server says of the session may come before there is a reader; the talk comes after.
    talk = c.call.sent.types[c.call.sent.types.index("conversation.item.added") :]
    assert first.transport_events + len(kept) >= len(talk)


async def test_a_reader_that_lags_gets_all_words_in_fewer_deltas(call):
    c = await call(LONG, max_queued_events=20)
    slow = c.session.events(TranscriptDelta, AgentEnd, Lagging)
    c.session.send_message("talk")
    done = await c.seen.until(AgentEnd)
    await c.session.close()
    async with asyncio.timeout(SECONDS):
        events = [event async for event in slow]
    # Sound that others wanted may have been lost, but no words.
    assert not any(event.transcript_deltas for event in events if isinstance(event, Lagging))
    deltas = [event for event in events if isinstance(event, TranscriptDelta)]
    assert len(deltas) < 20 < len(c.seen.of(TranscriptDelta))
    assert "".join(event.delta for event in deltas) == done.output
    assert events[-1] == done


async def test_a_reader_that_does_not_name_lagging_gets_what_it_names_and_nothing_else(call):
    c = await call(LONG, max_queued_bytes=48_000)
    slow = c.session.events(Audio, AgentEnd)
    c.session.send_message("talk")
    await c.seen.until(AgentEnd)
    await c.session.close()
    async with asyncio.timeout(SECONDS):
        events = [event async for event in slow]
    assert {type(event) for event in events} == {Audio, AgentEnd}
    assert len(events) < len(c.call.sent.of("response.output_audio.delta"))


async def test_a_reader_that_may_lose_nothing_and_does_not_read_ends_by_name_and_alone(call):
    c = await call(max_queued_events=100)
    stuck = c.session.events(Error)
    await complain(c, 60)
    await complain(c, 120)
    with pytest.raises(ConsumerTooSlow, match=r"101 events were waiting.*raise max_queued_events"):
        await anext(stuck)
    with pytest.raises(StopAsyncIteration):
        await anext(stuck)
    assert c.session.status == "connected"
    assert len(c.seen.errors) == 120


async def test_a_reader_of_all_that_does_not_read_ends_the_session_by_name(call, run):
    neighbour = await call()
    c = await call(max_queued_events=100)
    stuck = aiter(c.session)
    await complain(c, 60)
    for _ in range(60):
        c.session.transport.send_event({"type": "nonsense"})
    ended = await c.seen.until(ConnectionChanged, lambda event: event.status == "disconnected")
    assert "max_queued_events" in ended.reason
    assert [type(error) for error in c.seen.errors].count(ConsumerTooSlow) == 1
    with pytest.raises(ConsumerTooSlow, match=r"101 events.*the connection is closed.*raise"):
        await anext(stuck)
    with pytest.raises(StopAsyncIteration):
        await anext(stuck)
    assert neighbour.session.status == "connected"
    server = await run(ScriptedMind([Turn(say="Hello.")]))
    await c.session.connect(url=server.url)
    c.session.send_message("hi")
    await c.seen.until(AgentEnd)
    await c.session.close()


async def test_a_loop_that_is_broken_out_of_stops_reading(call):
    c = await call(max_queued_events=100)
    for _ in range(3):
        c.session.transport.send_event({"type": "nonsense"})
        async for event in c.session:
            if isinstance(event, Error):
                break
    await complain(c, 63)
    await complain(c, 123)
    assert c.session.status == "connected"


async def test_events_that_nobody_ever_reads_are_bounded(run):
    server = await run(ScriptedMind([Turn(say="Hello.")]))
    async with session_to(server.url, max_queued_events=100) as session:
        for number in range(20):
            session.send_message("hi")
            await eventually(lambda number=number: session.usage.requests == number + 1)
        await session.close()
        events = [event async for event in session]
    assert isinstance(events[0], Lagging)
    assert len(events) == 51
    assert isinstance(events[-1], ConnectionChanged)


async def test_a_loop_that_stands_still_ends_the_connection_and_says_why():
    with RudeElsewhere([COMPLAINT] * 2_000) as there:
        session = session_to(there.url, max_queued_events=100)
        errors = []
        session.on("error", lambda event: errors.append(event.error))
        changes = session.events(ConnectionChanged)
        await session.connect()
        there.go()
        block_until(lambda: session.status == "disconnected")
        assert session.status == "disconnected"
        async with asyncio.timeout(SECONDS):
            reasons = [change.reason async for change in changes]
        assert "max_queued_events" in reasons[-1]
        slow = [error for error in errors if isinstance(error, ConsumerTooSlow)]
        assert len(slow) == 1
        assert "the connection is closed" in str(slow[0])
        assert len(errors) <= 102


async def test_a_session_connects_again_after_its_loop_stood_still(run):
    server = await run(ScriptedMind([Turn(say="Hello.")]))
    with RudeElsewhere([COMPLAINT] * 2_000) as there:
        session = session_to(there.url, max_queued_events=100)
        session.on("error", lambda event: None)
        await session.connect()
        there.go()
        block_until(lambda: session.status == "disconnected")
    await session.close()
    await session.connect(url=server.url)
    session.send_message("hi")
    async with asyncio.timeout(SECONDS):
        assert (await anext(session.events(AgentEnd))).output == "Hello."
    await session.close()


async def test_sound_that_a_busy_loop_missed_is_dropped_by_name_and_the_rest_comes(run):
    with RudeElsewhere(SPEECH) as there:
        session = session_to(there.url, max_queued_bytes=48_000)
        reader = session.events(Audio, Lagging, Error)
        await session.connect()
        there.go()
        block_until(lambda: session.probe.traffic()[0] >= len(SPEECH))
        async with asyncio.timeout(SECONDS):
            events = [await anext(reader) for _ in range(11)]
        await session.close()
    assert isinstance(events[0], Lagging)
    assert events[0].audio == 90
    assert all(isinstance(event, Audio) for event in events[1:])


async def test_words_and_history_that_a_busy_loop_missed_come_in_fewer_events():
    count = 500
    item = {"id": "i", "type": "message", "role": "assistant", "status": "in_progress"}

    def words(number: int) -> list[str]:
        delta = {"response_id": "r", "item_id": "i", "content_index": 0, "delta": f"{number} "}
        part = {"type": "output_audio", "transcript": f"{number}"}
        return [
            json.dumps({"type": "response.output_audio_transcript.delta", **delta}),
            json.dumps({"type": "conversation.item.done", "item": {**item, "content": [part]}}),
        ]

    frames = [frame for number in range(count) for frame in words(number)]
    with RudeElsewhere(frames) as there:
        session = session_to(there.url, max_queued_events=100)
        reader = session.events(TranscriptDelta, HistoryUpdated, Lagging, Error, ConnectionChanged)
        await session.connect()
        there.go()
        block_until(lambda: session.probe.traffic()[0] >= len(frames))
        assert session.status == "connected"
        await eventually(lambda: len(session.history) and words_of(session) == f"{count - 1}")
        await session.close()
        events = [event async for event in reader]
    heard = "".join(event.delta for event in events if isinstance(event, TranscriptDelta))
    assert heard == "".join(f"{number} " for number in range(count))
    assert not [event for event in events if isinstance(event, Lagging | Error)]
    assert len(events) <= 102


def words_of(session: Any) -> str:
    return str(session.history[0].content[0].transcript)


async def test_a_flood_of_events_leaves_the_loop_to_others_in_between():
    async with ScriptedServer() as server:
        session = RealtimeSession(
            RealtimeAgent(name="front"),
            api_key=KEY,
            transport=WebSocketTransport(url=server.url),
        )
        loop = asyncio.get_running_loop()
        in_a_row = most = seen = 0

        def turn() -> None:
            nonlocal in_a_row
            in_a_row = 0
            loop.call_soon(turn)

        def take(event: TransportEvent) -> None:
            nonlocal in_a_row, most, seen
            if seen == 0:
                # All others arrive meanwhile.
                time.sleep(0.3)
            seen += 1
            in_a_row += 1
            most = max(most, in_a_row)
            until = time.perf_counter() + 0.0002
            while time.perf_counter() < until:
                pass

        await session.connect()
        session.on("transport_event", take)
        turn()
        with held_reader(session):
            for number in range(2_000):
                await server.send({"type": "tiny", "number": number})
        await settle(session, server)
        assert seen == 2_000
        # 128 at once: 25 ms of these.
        assert most <= 256
        await session.close()
