"""A WebSocket joins a call over WebRTC (`?call_id=`), as a server does that minds the call."""

from __future__ import annotations

import asyncio

import pytest
from peer_client import PeerClient, ring
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from wire_client import WireClient

from stapes import HistoryUpdated, RealtimeAgent, RealtimeSession
from stapes.devserver import DevServer, ScriptedMind, Turn

pytest.importorskip("aiortc", reason="calls over WebRTC are answered with aiortc")

HEADERS = {"Authorization": "Bearer any"}
ANSWER = "One two three."


def url_of(server: DevServer) -> str:
    return f"{server.url}?call_id={server.calls[-1].id}"  # type: ignore[attr-defined]


@pytest.fixture
def joined(run, stack):
    """Ring a server, and join the call; both end with the test."""

    async def start(**options) -> tuple[DevServer, PeerClient, WireClient]:
        server = await run(ScriptedMind([Turn(say=ANSWER)]), **options)
        peer = await ring(server)
        stack.push_async_callback(peer.close)
        socket = await connect(url_of(server), additional_headers=HEADERS)
        stack.push_async_callback(socket.close)
        client = WireClient(socket)
        assert (await client.next())["type"] == "session.created"
        return server, peer, client

    return start


async def test_both_connections_get_every_event_but_the_sound_stays_with_the_peer(joined):
    _, peer, client = await joined()
    await client.send("response.create")
    stopped = await client.until("output_audio_buffer.stopped")
    assert stopped == await peer.until("output_audio_buffer.stopped")
    assert "response.output_audio.delta" not in [event["type"] for event in client.events]
    assert [event["event_id"] for event in client.events[1:]] == [
        event["event_id"] for event in peer.events[1:]
    ]


async def test_the_joined_one_is_dropped_and_the_call_goes_on(joined):
    server, peer, client = await joined()
    server.arm("response_created:1012")
    await client.send("response.create")
    with pytest.raises(ConnectionClosed) as closed:
        await client.until("response.done")
    assert closed.value.rcvd.code == 1012
    await peer.until("output_audio_buffer.stopped")
    assert not server.calls[-1].is_over


async def test_what_the_joined_one_sets_holds_for_the_call(joined):
    server, peer, client = await joined()
    settings = {"type": "realtime", "instructions": "Be brief."}
    await client.send("session.update", session=settings)
    updated = await peer.until("session.updated")
    assert updated["session"]["instructions"] == "Be brief."
    assert server.calls[-1].received.of("session.update")


async def test_the_call_outlives_the_one_that_joined(joined):
    _, peer, client = await joined()
    await client.socket.close()
    peer.send("response.create")
    await peer.until("output_audio_buffer.stopped")


async def test_the_end_of_the_call_is_the_end_for_all(joined):
    _, peer, client = await joined()
    await peer.close()
    async with asyncio.timeout(5):
        await client.socket.wait_closed()
    assert client.socket.close_code == 1000


async def test_one_that_reads_nothing_holds_the_call_up_only_until_it_leaves(joined):
    server, peer, client = await joined(max_waiting_events=4)
    context = server.calls[-1].call._context
    (outbox,) = context.joined
    outbox.take = asyncio.Event().wait  # type: ignore[method-assign]
    peer.send("response.create")
    async with asyncio.timeout(5):
        while len(outbox._waiting) < 4:
            await asyncio.sleep(0.01)
    await client.socket.close()
    await peer.until("output_audio_buffer.stopped")
    assert not context.joined


async def test_a_call_that_is_over_cannot_be_joined(joined):
    server, peer, _ = await joined()
    url, call = url_of(server), server.calls[-1]
    await peer.close()
    await call.wait_closed()
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=HEADERS)
    assert refused.value.response.status_code == 404


async def test_a_session_of_ours_joins_and_sees_the_conversation(run):
    server = await run(ScriptedMind([Turn(say=ANSWER)]))
    peer = await ring(server)
    agent = RealtimeAgent(name="minder", instructions="Be kind.")
    session = RealtimeSession(agent, api_key="any")
    told = asyncio.Event()

    @session.on("history_updated")
    def _updated(event: HistoryUpdated) -> None:
        if ANSWER in str(list(event.history)):
            told.set()

    await session.connect(url=url_of(server))
    try:
        updated = await peer.until("session.updated")
        assert "Be kind." in updated["session"]["instructions"]
        peer.send("response.create")
        async with asyncio.timeout(5):
            await told.wait()
    finally:
        await session.close()
        await peer.close()
