"""Who keeps a session alive: its tasks and what its commands return, until they have ended."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import pytest
from agents import function_tool
from calling import KEY, SECONDS, eventually, silence

from stapes import RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.devserver import Call, ScriptedMind, Turn


async def connected(server: Any, agent: Any = None) -> RealtimeSession[Any]:
    session: RealtimeSession[Any] = RealtimeSession(
        agent or RealtimeAgent(name="front"),
        api_key=KEY,
        transport=WebSocketTransport(url=server.url),
    )
    await session.connect()
    return session


async def test_a_session_that_nobody_holds_is_gone_at_once(run):
    session = await connected(await run(ScriptedMind()))
    gone = weakref.ref(session)
    del session
    assert gone() is None


async def test_closing_a_session_that_nobody_holds_any_more_ends(run):
    sessions = [await connected(await run(ScriptedMind()))]
    async with asyncio.timeout(SECONDS):
        await sessions.pop().close()


async def test_a_long_sound_of_a_session_that_nobody_holds_is_sent_to_its_end(run):
    sessions = [await connected(await run(ScriptedMind()))]
    async with asyncio.timeout(SECONDS):
        assert await sessions.pop().stream_audio(silence(200), sample_rate=24_000) == 0.2


async def test_a_tool_of_a_session_that_nobody_holds_is_answered(run):
    begun, go = asyncio.Event(), asyncio.Event()

    @function_tool
    async def wait() -> str:
        """Wait."""
        begun.set()
        await go.wait()
        return "done"

    server = await run(ScriptedMind([Turn(call=Call("wait", {}))]))
    session = await connected(server, RealtimeAgent(name="front", tools=[wait]))
    call = await server.next_call()
    session.send_message("hi")
    async with asyncio.timeout(SECONDS):
        await begun.wait()
        gone = weakref.ref(session)
        del session
        go.set()
        await call.received.wait_for(lambda event: "output" in event.get("item", {}))
        await eventually(lambda: gone() is None)


@pytest.mark.parametrize("event", ["audio", "agent_end", "history_updated", "connection_changed"])
async def test_a_callback_may_drop_its_session(run, event):
    sessions = [await connected(await run(ScriptedMind(otherwise="Hello there.")))]
    gone = weakref.ref(sessions[0])

    def drop(_: Any) -> None:
        sessions.clear()

    sessions[0].on(event, drop)
    sessions[0].send_message("hi")
    if event == "connection_changed":
        sessions[0].close()
    async with asyncio.timeout(SECONDS):
        await eventually(lambda: gone() is None)
