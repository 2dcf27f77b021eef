from __future__ import annotations

import json
import socket
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from wire_client import dial, silence

from stapes.devserver import DevServer, ScriptedMind, Turn

KEY = {"Authorization": "Bearer k"}
LONG = ScriptedMind([Turn(say="word " * 100)])


async def test_what_went_both_ways_is_recorded(run):
    server = await run(LONG)
    client = await dial(server, "?model=some-model")
    call = await server.next_call()
    assert call.query == {"model": "some-model"}
    await client.socket.send("not json")
    await client.send("response.create", event_id="mine")
    created = await call.received.wait_for("response.create")
    assert created == {"type": "response.create", "event_id": "mine"}
    assert call.received[0] == {"frame": "not json"}
    await client.until("response.done")
    assert call.sent.types[: len(client.events)] == client.types()
    assert call.call.session["model"] == "some-model"
    assert call.call.items[0]["role"] == "assistant"
    await client.socket.close()


async def test_waiting_for_what_does_not_come_says_what_came(run):
    server = await run()
    client = await dial(server)
    await client.send("response.create")
    call = await server.next_call()
    await call.received.wait_for("response.create")
    with pytest.raises(TimeoutError, match=r"no response.cancel .* \['response.create'\]"):
        await call.received.wait_for("response.cancel", seconds=0.01)
    with pytest.raises(TimeoutError):
        await server.next_call(seconds=0.01)
    await client.socket.close()


@pytest.mark.parametrize("garbage", ["{not json", "", b"\x00\xff", '{"type": 7}', "null"])
async def test_garbage_arrives_as_it_was_sent_in_order(run, garbage):
    server = await run()
    async with connect(server.url, additional_headers=KEY) as socket:
        call = await server.next_call()
        await socket.recv()
        call.send_raw(garbage)
        call.emit("session.updated", session=call.call.session)
        assert await socket.recv() == garbage
        assert json.loads(await socket.recv())["type"] == "session.updated"


async def test_a_server_that_closes_in_mid_answer(run):
    server = await run(LONG, pace=10.0)
    client = await dial(server)
    await client.send("response.create")
    await client.until("response.output_audio.delta")
    await (await server.next_call()).close(1011, "keepalive ping timeout")
    with pytest.raises(ConnectionClosed) as closed:
        await client.until("response.done")
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "keepalive ping timeout")


async def test_a_connection_that_breaks(run):
    server = await run(LONG, pace=10.0)
    client = await dial(server)
    await client.send("response.create")
    await client.until("response.output_audio.delta")
    call = await server.next_call()
    call.abort()
    with pytest.raises(ConnectionClosedError) as broken:
        await client.until("response.done")
    assert broken.value.rcvd is None
    await call.wait_closed()


async def test_a_server_that_falls_silent_still_reads(run):
    server = await run(LONG)
    client = await dial(server)
    call = await server.next_call()
    call.go_silent()
    await client.send("response.create")
    await call.received.wait_for("response.create")
    assert call.sent.types == ["session.created"]
    await client.socket.close()


async def test_a_server_that_stops_reading_and_resumes(run):
    server = await run()
    client = await dial(server)
    call = await server.next_call()
    call.stop_reading()
    await client.send("response.create")
    await client.send("response.cancel")
    with pytest.raises(TimeoutError):
        await call.received.wait_for("response.create", seconds=0.02)
    call.resume_reading()
    await call.received.wait_for("response.cancel")
    await client.socket.close()


async def test_a_handshake_that_is_refused(run):
    server = await run()
    server.refuse_next(503, {"error": {"message": "overloaded"}})
    with pytest.raises(InvalidStatus) as refused:
        await connect(server.url, additional_headers=KEY)
    assert refused.value.response.status_code == 503
    assert json.loads(refused.value.response.body) == {"error": {"message": "overloaded"}}
    client = await dial(server)
    await client.socket.close()


async def test_a_handshake_that_gets_no_answer():
    async with DevServer() as server:
        server.hang_next()
        with pytest.raises(TimeoutError):
            await connect(server.url, additional_headers=KEY, open_timeout=0.05)


async def standing_still(record):
    """Wait until nothing has been added to a record for a while."""
    with suppress(TimeoutError):
        while True:
            count = len(record)
            await record.wait_for(lambda _, count=count: len(record) > count, seconds=0.1)


async def test_a_client_that_reads_nothing_does_not_fill_the_server(run):
    words = 1_000
    server = await run(ScriptedMind([Turn(say="word " * words)]), max_waiting_events=8)
    deaf = socket.create_connection(server.url.split("/")[2].split(":"))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.setblocking(False)
    client = await connect(server.url, sock=deaf, additional_headers=KEY, max_queue=1)
    await client.send(json.dumps({"type": "response.create"}))
    call = await server.next_call()
    await call.sent.wait_for("response.output_audio.delta")
    await standing_still(call.sent)
    assert len(call.sent) < words
    client.transport.abort()
    await call.wait_closed()


async def test_a_flood_of_refused_events_waits_for_the_client_to_read(run):
    server = await run(max_waiting_events=4)
    client = await dial(server)
    for _ in range(200):
        await client.send("response.cancel")
    for _ in range(200):
        assert (await client.next())["error"]["code"] == "response_cancel_not_active"
    await client.socket.close()


async def closing(connection):
    """Give what still arrives on a connection that the server closes."""
    with suppress(ConnectionClosed):
        while True:
            yield await connection.recv()


async def test_a_server_ends_with_calls_under_way():
    async with DevServer(LONG) as server:
        client = await dial(server)
        await client.send("response.create")
        await client.hear(silence(100))
        call = await server.next_call()
        call.stop_reading()
    _ = [frame async for frame in closing(client.socket)]
    assert client.socket.close_code == 1012


async def test_a_frame_over_the_limit_closes_the_connection(run):
    server = await run(max_frame_bytes=1_000)
    client = await dial(server)
    await client.send("input_audio_buffer.append", audio="A" * 2_000)
    with pytest.raises(ConnectionClosed) as closed:
        await client.next()
    assert closed.value.rcvd.code == 1009


async def test_an_abort_of_one_call_leaves_the_others(run):
    server = await run(LONG)
    first, second = await dial(server), await dial(server)
    (await server.next_call()).abort()
    with pytest.raises(ConnectionClosedError):
        await first.next()
    assert (await second.say("hello"))["response"]["status"] == "completed"
    await second.socket.close()
