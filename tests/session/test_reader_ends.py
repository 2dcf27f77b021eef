"""Readers and sessions that used to wait for ever: shared, dropped, on loops that are over."""

from __future__ import annotations

import asyncio
import logging
import sys
import weakref
from typing import Any

import pytest
from agents import UserError
from calling import KEY, SECONDS, Seen, eventually
from elsewhere import Elsewhere, RudeElsewhere, block_until

import stapes
from stapes import (
    AgentEnd,
    Audio,
    HistoryAdded,
    NotConnectedError,
    RealtimeAgent,
    RealtimeSession,
)
from stapes.devserver import ScriptedMind, Turn
from stapes.hub import LoopHub
from stapes.testing import ScriptedServer, settle

TALK = ScriptedMind([Turn(say="Hello there.")])


def new_session(**options: Any) -> RealtimeSession[Any]:
    return RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, **options)


def item(number: int) -> dict[str, Any]:
    message = {"id": f"i{number}", "type": "message", "role": "user", "content": []}
    return {"type": "conversation.item.added", "item": message}


@pytest.mark.parametrize("kinds", [(), (AgentEnd,)])
async def test_a_reader_keeps_the_session_that_nobody_else_holds(run, kinds):
    server = await run(TALK)
    gone: list[weakref.ref[Any]] = []

    async def start() -> Any:
        session = new_session()
        gone.append(weakref.ref(session))
        await session.connect(url=server.url)
        session.send_message("hi")
        return session.events(*kinds)

    async with asyncio.timeout(SECONDS):
        async for event in await start():
            if isinstance(event, AgentEnd):
                assert event.output == "Hello there."
                break
        del event
        await eventually(lambda: gone[0]() is None)


async def test_a_reader_that_was_closed_keeps_nothing(run):
    session = new_session()
    gone, reader = weakref.ref(session), session.events()
    del session
    assert gone() is not None
    reader.close()
    assert gone() is None


async def test_tasks_share_the_events_of_a_reader_and_all_of_them_end():
    async with ScriptedServer() as server:
        session = new_session()
        await session.connect(url=server.url)
        reader = session.events(HistoryAdded)
        got: dict[str, list[str]] = {"one": [], "two": [], "three": []}

        async def read(name: str) -> None:
            async for event in reader:
                got[name].append(event.item.item_id)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(read(name)) for name in got]
        for number in range(12):
            await server.send(item(number))
            await settle(session, server)
        session.close()
        async with asyncio.timeout(SECONDS):
            await asyncio.gather(*tasks)
        everything = [name for names in got.values() for name in names]
        assert sorted(everything) == sorted(f"i{number}" for number in range(12))
        assert all(got.values())


async def test_a_task_that_is_cancelled_passes_its_event_on():
    async with ScriptedServer() as server:
        session = new_session()
        await session.connect(url=server.url)
        reader = session.events(HistoryAdded)
        first = asyncio.create_task(anext(reader))
        second = asyncio.create_task(anext(reader))
        await asyncio.sleep(0)
        session.on("history_added", lambda _: first.cancel())
        await server.send(item(1))
        async with asyncio.timeout(SECONDS):
            assert (await second).item.item_id == "i1"
        with pytest.raises(asyncio.CancelledError):
            await first
        await session.close()


async def test_closing_a_reader_ends_the_task_that_waits_in_it():
    async with ScriptedServer() as server:
        session = new_session()
        await session.connect(url=server.url)
        reader = session.events(HistoryAdded)
        waiting = asyncio.create_task(anext(reader, "ended"))
        await asyncio.sleep(0)
        reader.close()
        async with asyncio.timeout(SECONDS):
            assert await waiting == "ended"
        await session.close()


async def test_a_session_closed_before_it_connected_ends_its_readers():
    session = new_session()
    before = session.events()
    waiting = asyncio.create_task(anext(before, "ended"))
    await asyncio.sleep(0)
    await session.close()
    async with asyncio.timeout(SECONDS):
        assert await waiting == "ended"
        assert await anext(session.events(), "ended") == "ended"


COMPLAINT = '{"type": "error", "error": {"message": "the last word"}}'


def made(kind: type[Any], url: str) -> Any:
    transport = stapes.WebSocketTransport(url=url, first_event_timeout=0.01)
    options = {"api_key": KEY, "reconnect": None, "transport": transport}
    if kind is RealtimeSession:
        return RealtimeSession(RealtimeAgent(name="front"), **options)
    return kind(**options)


@pytest.mark.parametrize("kind", [RealtimeSession, stapes.RealtimeTranscription])
async def test_closing_a_session_that_the_far_end_has_just_closed_loses_no_event(kind):
    with RudeElsewhere([COMPLAINT], closes=True) as there:
        session = made(kind, there.url)
        reader = session.events(stapes.Error, stapes.ConnectionChanged)
        await session.connect()
        there.go()
        block_until(lambda: session.status == "disconnected")
        await session.close()
        async with asyncio.timeout(SECONDS):
            seen = [event async for event in reader]
        assert [event.type for event in seen[-2:]] == ["error", "connection_changed"]
        assert "the last word" in str(seen[-2].error)
        assert seen[-1].status == "disconnected"


@pytest.mark.parametrize("kind", [RealtimeSession, stapes.RealtimeTranscription])
async def test_closing_an_idle_session_beside_another_one_that_closes_ends_its_readers(run, kind):
    server = await run(TALK)
    session = made(kind, "ws://127.0.0.1:9/")
    reader = session.events()
    other = made(RealtimeSession, server.url)
    async with asyncio.timeout(SECONDS):
        await other.connect()
        closing = other.close()
        assert not LoopHub.current().is_idle
        await session.close()
        assert await anext(reader, "ended") == "ended"
        await closing


async def test_a_reader_of_audio_alone_gets_nothing_of_an_interrupted_answer():
    async with ScriptedServer() as server:
        session = new_session()
        await session.connect(url=server.url)
        reader = session.events(Audio)
        await server.send({"type": "response.created", "response": {"id": "r1"}})
        delta = {
            "type": "response.output_audio.delta",
            "response_id": "r1",
            "item_id": "i1",
            "content_index": 0,
            "delta": "AAAA" * 100,
        }
        await server.send(delta)
        await settle(session, server)
        session.interrupt()
        await settle(session, server)
        await server.send({"type": "response.done", "response": {"id": "r1"}})
        await server.send({"type": "response.created", "response": {"id": "r2"}})
        await server.send({**delta, "response_id": "r2", "item_id": "i2"})
        async with asyncio.timeout(SECONDS):
            assert (await anext(reader)).response_id == "r2"
        await session.close()


@pytest.mark.parametrize("kind", ["agent_end", int, RealtimeAgent])
async def test_a_class_that_is_no_events_is_refused(kind):
    with pytest.raises(TypeError, match="no class of an event"):
        new_session().events(kind)


def test_a_session_of_a_loop_that_is_closed_says_so_in_place_of_hanging():
    async def make() -> RealtimeSession[Any]:
        return new_session()

    async def use(session: RealtimeSession[Any], url: str) -> None:
        async with asyncio.timeout(SECONDS):
            with pytest.raises(UserError, match="another event loop"):
                await session.connect(url=url)
            with pytest.raises(RuntimeError, match="another event loop"):
                await anext(session.events())
            with pytest.raises(stapes.StapesError, match="is closed"):
                await session.update_agent(RealtimeAgent(name="next"))
            await session.close()

    with Elsewhere(TALK) as there:
        asyncio.run(use(asyncio.run(make()), there.url))
        stapes.run(use(stapes.run(make()), there.url))


def test_a_session_made_outside_of_a_loop_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"async def.*asyncio\.run"):
        new_session()


@pytest.mark.parametrize("raw", [False, True])
def test_a_session_whose_loop_is_closed_sends_no_more_of_the_microphone(caplog, raw):
    async def leave_open(url: str) -> RealtimeSession[Any]:
        session = new_session()
        seen = Seen(session, "transport_event")
        await session.connect(url=url)
        await seen.until(stapes.TransportEvent)
        return session

    with Elsewhere(TALK) as there, caplog.at_level(logging.WARNING, "stapes"):
        if raw:
            loop = asyncio.new_event_loop()
            session = loop.run_until_complete(leave_open(there.url))
            loop.close()
        else:
            session = asyncio.run(leave_open(there.url))
        assert session.status == "disconnected"
        assert [r for r in caplog.records if "loop was closed while 1 of its" in r.getMessage()]

        async def send() -> None:
            with pytest.raises(NotConnectedError):
                await session.send_audio(bytes(480))

        asyncio.run(send())


def test_a_command_that_outlives_its_loop_complains_of_nothing(capfd):
    kept: list[Any] = []

    async def leave(url: str) -> None:
        session = new_session()
        await session.connect(url=url)
        kept.append(session.stream_audio(bytes(480_000)))
        kept.append(session.update_agent(RealtimeAgent(name="next")))

    with Elsewhere(TALK) as there:
        asyncio.run(leave(there.url))
        kept.clear()
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="there a task of asyncio's own breaks in a forked child"
)
def test_a_forked_child_under_stapes_run_may_exit(interpreter):
    script = """
        async def fork():
            async with new_session() as session:
                if (child := os.fork()) == 0:
                    sys.exit(3)
                status = os.waitpid(child, 0)[1]
                session.send_message("hi")
                async for event in session.events(AgentEnd):
                    return status, event.output

        print(*run(fork()))
    """
    with Elsewhere(TALK) as there:
        done = interpreter.run(script, there.url)
    assert done.err == ""
    assert done.out.split() == [str(3 << 8), "Hello", "there."]


def test_a_synchronous_tool_that_is_stuck_does_not_keep_the_process(interpreter):
    script = """
        import threading
        from agents import function_tool
        begun = threading.Event()
        @function_tool
        def tool() -> str:
            "Hang."
            begun.set()
            threading.Event().wait()
        async def main():
            agent = RealtimeAgent(name="front", tools=[tool])
            session = RealtimeSession(agent, api_key=key, transport=WebSocketTransport(url=url))
            async with session:
                session.send_message("ask")
                await asyncio.to_thread(begun.wait, 5)
        asyncio.run(main())
        print("ended", flush=True)
    """
    from stapes.devserver import Call

    with Elsewhere(ScriptedMind([Turn(call=Call("tool", {}))])) as there:
        done = interpreter.run(script, there.url)
    assert (done.status, done.out.split()) == (0, ["ended"])
