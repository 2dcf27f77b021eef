"""Which agent a connection begins with, and what it leaves of the agent before."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from calling import KEY, SECONDS, Seen

from stapes import AgentHandoff, AgentStart, ConnectError, RealtimeAgent, RealtimeSession
from stapes.devserver import Call, ScriptedMind, Turn
from stapes.testing import ScriptedServer, settle

A = RealtimeAgent(name="A", instructions="I am A, answer in rhymes.")
B = RealtimeAgent(name="B", instructions="B.")
BARE = RealtimeAgent(name="bare")


@pytest.fixture
async def server():
    async with ScriptedServer() as server:
        yield server


def sessions_of(server: ScriptedServer) -> list[dict[str, Any]]:
    """The configurations that were sent, without that of tracing."""
    updates = [m["session"] for m in server.received if m["type"] == "session.update"]
    return [update for update in updates if "audio" in update]


async def test_an_agent_without_instructions_inherits_none_by_update_agent(server):
    session = RealtimeSession(A, api_key=KEY)
    await session.connect(url=server.url)
    await session.update_agent(BARE)
    await settle(session, server)
    first, second = sessions_of(server)
    assert first["instructions"] == "I am A, answer in rhymes."
    assert second["instructions"] == ""
    await session.close()


@pytest.mark.parametrize("instructions", [None, lambda *_: None], ids=["none", "function"])
async def test_an_agent_without_instructions_inherits_none_by_a_handoff(call, instructions):
    bare = RealtimeAgent(name="bare", instructions=instructions)
    front = RealtimeAgent(name="A", instructions="Rhyme.", handoffs=[bare])
    mind = ScriptedMind([Turn(when="go", call=Call("transfer_to_bare", {})), Turn(say="Hm.")])
    c = await call(mind, front)
    c.session.send_message("go")
    await c.seen.until(AgentHandoff)
    update = await c.call.received.wait_for(
        lambda e: "Rhyme." not in str(e) and "audio" in e.get("session", {})
    )
    assert update["session"]["instructions"] == ""


async def test_an_agent_named_before_the_connection_is_the_one_it_begins_with(server):
    session = RealtimeSession(A, api_key=KEY)
    seen = Seen(session)
    await session.update_agent(B)
    assert session.current_agent is B
    assert (await session.initial_session_config())["instructions"] == "B."
    await session.connect(url=server.url)
    await server.send({"type": "response.created", "response": {"id": "r"}})
    await settle(session, server)
    assert [one["instructions"] for one in sessions_of(server)] == ["B."]
    assert (await seen.until(AgentStart)).agent is B
    assert [event.to_agent for event in seen.of(AgentHandoff)] == [B]
    await session.close()


async def test_an_agent_named_between_connections_is_that_of_the_next_and_no_later_one(server):
    session = RealtimeSession(A, api_key=KEY)
    await session.connect(url=server.url)
    await session.close()
    await session.update_agent(B)
    await session.connect(url=server.url)
    await session.close()
    await session.connect(url=server.url)
    await settle(session, server)
    said = [one["instructions"] for one in sessions_of(server)]
    assert said == ["I am A, answer in rhymes.", "B.", "I am A, answer in rhymes."]
    await session.close()


async def test_an_agent_of_the_connection_before_is_not_kept(server):
    session = RealtimeSession(A, api_key=KEY)
    await session.connect(url=server.url)
    await session.update_agent(B)
    await session.close()
    await session.connect(url=server.url)
    await settle(session, server)
    assert session.current_agent is A
    await session.close()


async def test_a_connection_that_fails_leaves_the_agent_for_the_next_attempt(server):
    session = RealtimeSession(A, api_key=KEY)
    await session.update_agent(B)
    async with ScriptedServer(reject_status=500) as rude:
        with pytest.raises(ConnectError):
            await session.connect(url=rude.url)
    await session.connect(url=server.url)
    await settle(session, server)
    assert [one["instructions"] for one in sessions_of(server)] == ["B."]
    await session.close()


async def test_an_agent_named_while_connecting_follows_the_first(server):
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any) -> str:
        begun.set()
        await go.wait()
        return "A."

    session = RealtimeSession(RealtimeAgent(name="A", instructions=slow), api_key=KEY)
    connecting = asyncio.create_task(session.connect(url=server.url))
    async with asyncio.timeout(SECONDS):
        await begun.wait()
        updating = session.update_agent(B)
        await asyncio.sleep(0)
        go.set()
        await connecting
        await updating
    await settle(session, server)
    assert [one["instructions"] for one in sessions_of(server)] == ["A.", "B."]
    assert session.current_agent is B
    await session.close()


async def test_connecting_while_an_agent_is_being_named_ends_with_that_agent(server):
    begun, go = asyncio.Event(), asyncio.Event()

    async def enabled(*_: Any) -> bool:
        begun.set()
        await go.wait()
        return True

    from agents import function_tool

    @function_tool(is_enabled=enabled)
    async def tool() -> str:
        """Work."""
        return ""

    next_one = RealtimeAgent(name="next", instructions="Next.", tools=[tool])
    session = RealtimeSession(A, api_key=KEY)
    updating = session.update_agent(next_one)
    async with asyncio.timeout(SECONDS):
        await begun.wait()
        await session.connect(url=server.url)
        go.set()
        await updating
    await settle(session, server)
    assert [one["instructions"] for one in sessions_of(server)][-1] == "Next."
    assert session.current_agent is next_one
    await session.close()


@pytest.mark.parametrize("side", ["this", "far"])
async def test_an_agent_named_while_its_connection_ends_is_that_of_the_next(server, side):
    session = RealtimeSession(A, api_key=KEY, reconnect=None)

    async def closing(*_: Any) -> str:
        if side == "this":
            await session.close()
        elif session.status != "disconnected":
            await server.close()
            await settle(session, server)
        return "Late."

    late = RealtimeAgent(name="late", instructions=closing)
    await session.connect(url=server.url)
    assert await session.update_agent(late) is late
    assert session.current_agent is late
    late.instructions = "Late."
    await session.connect(url=server.url)
    await settle(session, server)
    assert sessions_of(server)[-1]["instructions"] == "Late."
    await session.close()


async def test_an_agent_that_cannot_be_told_to_the_server_is_not_put_in_charge(server):
    session = RealtimeSession(A, api_key=KEY)
    await session.connect(url=server.url)
    with pytest.raises(ValueError, match="surrogates not allowed"):
        await session.update_agent(RealtimeAgent(name="half", instructions="Half \ud83d"))
    assert session.current_agent is A
    await session.close()


async def test_what_is_no_agent_is_refused_as_a_successor():
    session = RealtimeSession(A, api_key=KEY)
    with pytest.raises(TypeError, match="RealtimeAgent"):
        session.update_agent("B")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "where", "found"),
    [
        ({"audio": {"input": {"x": 1}}}, ("audio", "input", "x"), 1),
        ({"audio": {"output": {"y": 2}}}, ("audio", "output", "y"), 2),
        ({"audio": {"output": {"voice": "own"}}}, ("audio", "output", "voice"), "own"),
        ({"audio": {"z": {"w": 3}}}, ("audio", "z", "w"), 3),
        ({"extra": {"a": 1}}, ("extra", "a"), 1),
        ({"tracing": None}, ("tracing",), None),
    ],
)
async def test_provider_data_is_merged_into_what_is_there(server, given, where, found):
    session = RealtimeSession(A, api_key=KEY, config={"provider_data": given})
    await session.connect(url=server.url)
    await settle(session, server)
    (sent,) = sessions_of(server)
    value: Any = sent
    for key in where:
        value = value[key]
    assert value == found
    assert sent["audio"]["input"]["turn_detection"] == {"type": "semantic_vad"}
    assert sent["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert session.output_sample_rate == 24_000
    await session.close()
