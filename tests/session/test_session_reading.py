"""Reading a session's events: iterators, callbacks, and who gets what."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from calling import KEY, SECONDS, Seen, eventually
from rude import rude

from stapes import (
    AgentEnd,
    AgentStart,
    Audio,
    ConnectionChanged,
    Error,
    HistoryUpdated,
    RealtimeAgent,
    RealtimeSession,
    ResponseDone,
    TranscriptDelta,
    TransportEvent,
    WebSocketTransport,
)
from stapes.devserver import ScriptedMind, Turn
from stapes.session.dispatch.listeners import Listeners

HELLO = ScriptedMind([Turn(say="Hello there, how are you?")])


async def collect(session: RealtimeSession[Any], *kinds: Any, until: Any) -> list[Any]:
    events = []
    async with asyncio.timeout(SECONDS):
        async for event in session.events(*kinds):
            events.append(event)
            if isinstance(event, until):
                break
    return events


async def test_async_for_gives_all_but_transport_events(call):
    c = await call(HELLO)
    reading = asyncio.create_task(collect(c.session, until=AgentEnd))
    await c.session.send_message("hi")
    events = await reading
    kinds = {type(event) for event in events}
    assert {AgentStart, Audio, TranscriptDelta, HistoryUpdated} <= kinds
    assert TransportEvent not in kinds


async def test_events_gives_only_the_kinds_that_are_named(call):
    c = await call(HELLO)
    c.session.send_message("hi")
    events = await collect(c.session, Audio, ResponseDone, until=ResponseDone)
    assert {type(event) for event in events} == {Audio, ResponseDone}


async def test_transport_events_come_when_they_are_named_and_as_the_server_sent_them(call):
    c = await call(HELLO)
    c.session.send_message("hi")
    raw: list[dict[str, Any]] = []
    async with asyncio.timeout(SECONDS):
        async for event in c.session.events(TransportEvent):
            raw.append(event.event)
            if event.event["type"] == "response.done":
                break
    sent = list(c.call.sent)
    start = sent.index(raw[0])
    assert raw == sent[start : start + len(raw)]
    assert "response.output_audio.delta" in [event["type"] for event in raw]


async def test_every_reader_gets_every_event(call):
    c = await call(HELLO)
    readers = [
        asyncio.create_task(collect(c.session, Audio, AgentEnd, until=AgentEnd)) for _ in range(3)
    ]
    await asyncio.sleep(0)
    c.session.send_message("hi")
    first, *others = await asyncio.gather(*readers)
    assert len(first) > 2
    assert others == [first, first]
    assert [event for event in c.seen.events if isinstance(event, Audio | AgentEnd)] == first


async def test_events_before_the_first_reader_are_kept_for_it(run):
    server = await run(HELLO)
    agent = RealtimeAgent(name="front")
    session = RealtimeSession(agent, api_key=KEY, transport=WebSocketTransport(url=server.url))
    await session.connect()
    session.send_message("hi")
    await (await server.next_call()).sent.wait_for("response.done")
    await eventually(lambda: session.usage.requests)
    events = await collect(session, until=AgentEnd)
    assert isinstance(events[0], ConnectionChanged)
    assert sum(isinstance(event, Audio) for event in events) > 1
    await session.close()


async def test_what_callbacks_have_seen_is_not_kept_for_a_reader_that_comes_later(call):
    c = await call(HELLO)
    c.session.send_message("hi")
    await c.seen.until(AgentEnd)
    late = c.session.events(AgentEnd)
    c.session.send_message("hi again")
    await c.seen.until(AgentEnd, count=2)
    await c.session.close()
    async with asyncio.timeout(SECONDS):
        assert [event async for event in late] == c.seen.of(AgentEnd)[1:]


async def test_a_reader_ends_when_the_connection_does_with_all_that_came_before(call):
    c = await call(HELLO)
    reader = c.session.events(ConnectionChanged)
    await c.call.close(1001, "going home")
    async with asyncio.timeout(SECONDS):
        changes = [event async for event in reader]
    assert [change.status for change in changes] == ["disconnected"]
    assert "1001: going home" in (changes[-1].reason or "")


async def test_a_reader_that_comes_before_the_end_is_told_sees_it():
    async def leave(socket: Any) -> None:
        await socket.close(1001, "going home")

    async with rude(leave) as url:
        for _ in range(20):
            session = RealtimeSession(
                RealtimeAgent(name="front"),
                api_key=KEY,
                transport=WebSocketTransport(url=url, first_event_timeout=0),
                reconnect=None,
            )
            await session.connect()
            async with asyncio.timeout(SECONDS):
                events = [event async for event in session]
            assert events[-1].type == "connection_changed"
            assert events[-1].status == "disconnected"


async def test_a_reader_that_is_left_gets_no_more(call):
    c = await call(HELLO)
    with c.session.events(Audio) as reader:
        pass
    c.session.send_message("hi")
    await c.seen.until(AgentEnd)
    async with asyncio.timeout(SECONDS):
        assert [event async for event in reader] == []


async def test_match_takes_events_apart(call):
    c = await call(HELLO)
    c.session.send_message("hi")
    sound, words, said = bytearray(), "", ""
    async with asyncio.timeout(SECONDS):
        async for event in c.session:
            match event:
                case Audio(data=pcm):
                    sound += pcm
                case TranscriptDelta(role="assistant", delta=delta):
                    words += delta
                case AgentEnd(agent=RealtimeAgent(name="front"), output=said):
                    break
    assert words.strip() == said == "Hello there, how are you?"
    assert len(sound) > 24_000


async def test_on_takes_a_callback_and_is_a_decorator_and_off_ends_it(call):
    c = await call(HELLO)
    called, decorated = [], []
    given = c.session.on("agent_end", called.append)

    @c.session.on("agent_end")
    def ended(event: AgentEnd) -> None:
        decorated.append(event)

    c.session.send_message("hi")
    await c.seen.until(AgentEnd)
    assert len(called) == len(decorated) == 1
    c.session.off("agent_end", given)
    c.session.send_message("hi again")
    await c.seen.until(AgentEnd, count=2)
    assert (len(called), len(decorated)) == (1, 2)


async def test_async_callbacks_are_awaited(call):
    c = await call(HELLO)
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @c.session.on("agent_end")
    async def ended(event: AgentEnd) -> None:
        await asyncio.sleep(0)
        heard.set_result(event.output)

    c.session.send_message("hi")
    assert await asyncio.wait_for(heard, SECONDS) == "Hello there, how are you?"


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_callback_that_raises_becomes_an_error_event_and_hurts_nobody(call, kind):
    c = await call(HELLO)

    def raises(event: AgentEnd) -> None:
        raise RuntimeError("no good")

    async def raises_later(event: AgentEnd) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("no good")

    c.session.on("agent_end", raises if kind == "sync" else raises_later)
    after = Seen(c.session, "agent_end")
    reader = c.session.events(AgentEnd, Error)
    c.session.send_message("hi")
    error = await c.seen.until(Error)
    assert str(error.error) == "no good"
    assert error.context == "callback for agent_end"
    assert len(after.events) == 1
    async with asyncio.timeout(SECONDS):
        assert [type(await anext(reader)) for _ in range(2)] == [AgentEnd, Error]


async def test_an_error_callback_that_raises_does_not_call_itself_for_ever(call):
    c = await call(HELLO)
    errors = []

    @c.session.on("error")
    def raises(event: Error) -> None:
        errors.append(event)
        raise RuntimeError("again")

    c.session.transport.send_event({"type": "response.cancel"})
    c.session.send_message("hi")
    await c.seen.until(AgentEnd)
    assert len(errors) == 1


async def test_an_unknown_event_name_is_refused_by_name(call):
    c = await call(HELLO)
    with pytest.raises(ValueError, match=r"event 'adio' is unknown: use .*audio"):
        c.session.on("adio", print)


async def test_what_nobody_reads_is_not_built(run, monkeypatch):
    server = await run(HELLO)
    session = RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=WebSocketTransport(url=server.url)
    )
    reader = session.events(AgentEnd)
    async with session:
        built = []
        emit = session._parts.listeners.emit
        monkeypatch.setattr(
            Listeners, "emit", lambda _, event: (built.append(type(event)), emit(event))[1]
        )
        session.send_message("hi")
        async with asyncio.timeout(SECONDS):
            await anext(reader)
    assert set(built) == {AgentEnd}
