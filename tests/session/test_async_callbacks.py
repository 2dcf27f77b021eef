"""Async callbacks: one after the other, bounded, purged at an interruption."""

from __future__ import annotations

import asyncio
import random
import weakref
from typing import Any

import pytest
from agents import function_tool
from calling import KEY, SECONDS, eventually

from stapes import (
    AgentEnd,
    AgentToolEnd,
    Audio,
    AudioInterrupted,
    ConsumerTooSlow,
    Error,
    Lagging,
    RealtimeAgent,
    RealtimeSession,
)
from stapes.devserver import Call, ScriptedMind, Turn
from stapes.testing import ScriptedServer, settle

LONG = ScriptedMind([Turn(say="word " * 60)])


def audio_event(number: int, size: int = 480, response: str = "r1") -> dict[str, Any]:
    import base64

    data = number.to_bytes(2, "little") * (size // 2)
    return {
        "type": "response.output_audio.delta",
        "event_id": f"e{number}",
        "response_id": response,
        "item_id": f"i_{response}",
        "output_index": 0,
        "content_index": 0,
        "delta": base64.b64encode(data).decode(),
    }


def created(response: str = "r1") -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": response, "output": []}}


@pytest.fixture
async def server():
    async with ScriptedServer() as server:
        yield server


async def session_to(server: ScriptedServer, **options: Any) -> RealtimeSession[Any]:
    session = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, **options)
    await session.connect(url=server.url)
    return session


async def test_each_call_ends_before_the_next_begins_and_all_come_in_order(call):
    c = await call(LONG)
    sync: list[bytes] = []
    done: list[bytes] = []
    at_work = 0
    most = 0

    async def play(event: Audio) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(random.random() / 1000)
        done.append(event.data)
        at_work -= 1

    c.session.on("audio", lambda event: sync.append(event.data))
    c.session.on("audio", play)
    c.session.send_message("talk")
    await c.seen.until(AgentEnd)
    await eventually(lambda: len(done) == len(sync))
    assert (done, most) == (sync, 1)
    assert c.seen.errors == []


async def test_what_waits_for_a_slow_callback_is_bounded_and_it_is_said(server, caplog):
    session = await session_to(server, max_queued_bytes=4800)
    go = asyncio.Event()
    heard: list[int] = []
    lagging: list[Lagging] = []

    async def play(event: Audio) -> None:
        await go.wait()
        heard.append(int.from_bytes(event.data[:2], "little"))

    session.on("lagging", lagging.append)
    session.on("audio", play)
    await server.send(created())
    for number in range(40):
        await server.send(audio_event(number))
        await settle(session, server)
    go.set()
    await settle(session, server)
    assert heard[0] == 0
    assert heard[1:] == list(range(30, 40))
    assert sum(one.audio for one in lagging) == 29
    assert [r for r in caplog.records if "play for audio is slow" in r.getMessage()]
    await session.close()


async def test_audio_of_an_interrupted_answer_is_gone_before_the_callback_gets_to_it(server):
    session = await session_to(server)
    go = asyncio.Event()
    begun = asyncio.Event()
    heard: list[tuple[str, int]] = []
    order: list[str] = []

    async def play(event: Audio) -> None:
        begun.set()
        await go.wait()
        heard.append((event.response_id, int.from_bytes(event.data[:2], "little")))

    session.on("audio", play)
    session.on("audio_interrupted", lambda _: order.append("interrupted"))
    await server.send(created())
    for number in range(10):
        await server.send(audio_event(number))
    await settle(session, server)
    await begun.wait()
    session.interrupt()
    await settle(session, server)
    assert order == ["interrupted"]
    go.set()
    await server.send({"type": "response.done", "response": {"id": "r1", "status": "cancelled"}})
    await server.send(created("r2"))
    await server.send(audio_event(100, response="r2"))
    await settle(session, server)
    assert heard == [("r1", 0), ("r2", 100)]
    await session.close()


async def test_an_async_callback_for_all_events_is_purged_too(server):
    session = await session_to(server)
    go = asyncio.Event()
    got: list[str] = []

    async def take(event: Any) -> None:
        await go.wait()
        got.append(event.type)

    session.on("*", take)
    await server.send(created())
    for number in range(10):
        await server.send(audio_event(number))
    await settle(session, server)
    session.interrupt()
    await settle(session, server)
    go.set()
    await settle(session, server)
    assert "audio" not in got
    assert got.count("audio_interrupted") == 1
    await session.close()


async def test_as_many_calls_overlap_as_the_user_asks_for(server):
    session = await session_to(server)
    go = asyncio.Event()
    begun: list[int] = []

    @session.on("audio", concurrency=3)
    async def play(event: Audio) -> None:
        begun.append(int.from_bytes(event.data[:2], "little"))
        await go.wait()

    await server.send(created())
    for number in range(10):
        await server.send(audio_event(number))
    await settle(session, server)
    assert begun == [0, 1, 2]
    go.set()
    await settle(session, server)
    assert begun == list(range(10))
    await session.close()


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5])
async def test_a_concurrency_that_is_none_is_refused(concurrency):
    session = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY)
    with pytest.raises((ValueError, TypeError), match="concurrency"):
        session.on("audio", print, concurrency=concurrency)


@pytest.mark.parametrize("event", ["tool_approval_requested", "*"])
async def test_a_callback_that_awaits_an_approval_does_not_hold_up_the_next(call, event):
    both = asyncio.Barrier(2)

    @function_tool(needs_approval=True)
    async def one() -> str:
        """Wait for the other."""
        await both.wait()
        return "one"

    @function_tool(needs_approval=True)
    async def two() -> str:
        """Wait for the other."""
        await both.wait()
        return "two"

    mind = ScriptedMind(
        [Turn(when="both", call=[Call("one", {}), Call("two", {})]), Turn(say="Done.")]
    )
    c = await call(mind, RealtimeAgent(name="front", tools=[one, two]))

    async def approve(event: Any) -> None:
        if event.type == "tool_approval_requested":
            await c.session.approve(event.approval)

    c.session.on(event, approve)
    c.session.send_message("both")
    await c.seen.until(AgentToolEnd, count=2)


async def test_a_callback_that_fails_is_reported_and_gets_the_next_event(server, caplog):
    session = await session_to(server)
    errors: list[Error] = []
    heard: list[int] = []

    async def play(event: Audio) -> None:
        number = int.from_bytes(event.data[:2], "little")
        if number == 1:
            raise LookupError("one")
        if number == 2:
            raise asyncio.CancelledError
        heard.append(number)

    session.on("error", errors.append)
    session.on("audio", play)
    await server.send(created())
    for number in range(5):
        await server.send(audio_event(number))
    await settle(session, server)
    assert heard == [0, 3, 4]
    first, second = errors
    assert isinstance(first.error, LookupError)
    assert "CancelledError" in str(second.error)
    assert {error.context for error in errors} == {"callback for audio"}
    failed = [r for r in caplog.records if r.levelname == "ERROR" and "audio failed" in r.message]
    assert [r.exc_info is not None for r in failed] == [True, True]
    await session.close()


async def test_a_function_that_returns_a_coroutine_counts_as_async_from_then_on(server):
    session = await session_to(server)
    heard: list[int] = []
    at_work = 0

    async def play(event: Audio) -> None:
        nonlocal at_work
        at_work += 1
        assert at_work == 1
        await asyncio.sleep(0)
        heard.append(int.from_bytes(event.data[:2], "little"))
        at_work -= 1

    def chosen(event: Audio) -> Any:
        return play(event)

    session.on("audio", chosen)
    await server.send(created())
    for number in range(20):
        await server.send(audio_event(number))
    await settle(session, server)
    assert heard == list(range(20))
    session.off("audio", chosen)
    await server.send(audio_event(20))
    await settle(session, server)
    assert heard == list(range(20))
    await session.close()


async def test_a_callback_that_was_taken_off_gets_nothing_more(server):
    session = await session_to(server)
    go = asyncio.Event()
    heard: list[int] = []

    async def play(event: Audio) -> None:
        await go.wait()
        heard.append(int.from_bytes(event.data[:2], "little"))

    session.on("audio", play)
    await server.send(created())
    for number in range(5):
        await server.send(audio_event(number))
    await settle(session, server)
    session.off("audio", play)
    go.set()
    await settle(session, server)
    assert heard == [0]
    await session.close()


async def test_a_callback_that_never_returns_is_reported_and_does_not_fill_the_memory(server):
    session = await session_to(server, max_queued_events=50)
    errors: list[Error] = []
    never = asyncio.Event()

    async def wait(_: Any) -> None:
        await never.wait()

    session.on("error", errors.append)
    session.on("history_added", wait)
    for number in range(60):
        item = {"id": f"i{number}", "type": "message", "role": "user", "content": []}
        await server.send({"type": "conversation.item.added", "item": item})
        await settle(session, server)
    assert [type(event.error) for event in errors] == [ConsumerTooSlow]
    assert "wait for history_added" in str(errors[0].error)
    assert session.status == "connected"
    never.set()
    await session.close()


async def test_a_generator_is_refused_as_a_callback():
    session = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY)

    async def play(_: Any) -> Any:
        yield 1

    with pytest.raises(TypeError, match="yield"):
        session.on("audio", play)
    with pytest.raises(TypeError, match="callable"):
        session.on("audio", 7)


async def test_a_callback_at_work_keeps_its_session_and_no_longer(server):
    session = await session_to(server)
    gone = weakref.ref(session)
    go, begun = asyncio.Event(), asyncio.Event()

    async def wait(_: AudioInterrupted | Audio) -> None:
        begun.set()
        await go.wait()

    session.on("audio", wait)
    await server.send(created())
    await server.send(audio_event(1))
    async with asyncio.timeout(SECONDS):
        await begun.wait()
        del session
        assert gone() is not None
        go.set()
        await eventually(lambda: gone() is None)
