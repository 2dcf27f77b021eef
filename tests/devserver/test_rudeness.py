"""A server that is rude on purpose: where it drops connections, and how."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from wire_client import WireClient, dial, silence, spoken

from stapes.devserver import (
    POINTS,
    Call,
    DevServer,
    Drop,
    Rudeness,
    ScriptedMind,
    Turn,
)

KEY = {"Authorization": "Bearer k"}
MIND = ScriptedMind(
    [
        Turn(when="weather", call=Call("weather", {"city": "Paris, the one in France"})),
        Turn(after="weather", say="It is sunny."),
    ],
    hears=["hello"],
    otherwise="Good day to you, and to all of yours.",
)
LAST_HEARD = {
    "session_created": "session.created",
    "speech_started": "input_audio_buffer.speech_started",
    "speech_stopped": "input_audio_buffer.speech_stopped",
    "response_created": "response.created",
    "first_delta": "response.output_audio.delta",
    "deltas": "response.output_audio.delta",
    "function_arguments": "response.function_call_arguments.delta",
    "function_call": "response.output_item.done",
    "audio_done": "response.output_audio.done",
    "response_done": "response.done",
}
"""The last event that a client gets where it is dropped at a point that the server makes."""
MET_WITH_SILENCE = {
    "session_update": ("session.updated", 0),
    "user_audio": ("input_audio_buffer.speech_started", 0),
    "item_create": ("conversation.item.added", 2),
    "mid_message": ("conversation.item.added", 5),
    "response_create": ("response.created", 1),
    "function_output": ("conversation.item.added", 4),
    "truncate": ("conversation.item.truncated", 0),
    "item_delete": ("conversation.item.deleted", 0),
}
"""What a client gets no more of where it is dropped at a point of its own making."""
CLOSED = {"1001": 1001, "1011": 1011, "1012": 1012, "expired": 1001}


async def whole_conversation(client: WireClient) -> None:
    """Come to every point after the first, in some order."""
    await client.send("session.update", session={"type": "realtime", "instructions": "x"})
    await client.until("session.updated")
    await client.hear(await spoken("hello there"))
    await client.hear(silence(800))
    await client.until("response.done")
    answer = client.of("response.output_item.done")[-1]["item"]
    await client.send(
        "conversation.item.truncate", item_id=answer["id"], content_index=0, audio_end_ms=100
    )
    await client.until("conversation.item.truncated")
    await client.send("conversation.item.delete", item_id=answer["id"])
    await client.until("conversation.item.deleted")
    await client.write("What is the weather?")
    await client.send("response.create")
    done = await client.until("response.done")
    call = done["response"]["output"][0]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    await client.send("conversation.item.create", item=output)
    await client.until("conversation.item.done")
    image = "data:image/png;base64," + "A" * 100_000
    content = [{"type": "input_image", "image_url": image}]
    item = {"type": "message", "role": "user", "content": content}
    await client.send("conversation.item.create", item=item)
    await client.until("conversation.item.done")


async def ending(client: WireClient, doing) -> ConnectionClosed:
    async def all_of_it() -> None:
        with suppress(ConnectionClosed):
            await doing
        await client.until("nothing")

    with pytest.raises(ConnectionClosed) as closed:
        await all_of_it()
    return closed.value


@pytest.mark.parametrize("way", ["reset", "fin", "1001", "1011", "1012", "expired"])
@pytest.mark.parametrize("point", [point for point in POINTS if point != "connecting"])
async def test_a_connection_is_dropped_at_each_point(run, point, way):
    server = await run(MIND)
    armed = server.arm(f"{point}:{way}")
    client = await dial(server)
    closed = await ending(client, whole_conversation(client))
    if way == "expired":
        assert client.events.pop()["error"]["code"] == "session_expired"
    if point in LAST_HEARD:
        assert client.events[-1]["type"] == LAST_HEARD[point]
    else:
        what, count = MET_WITH_SILENCE[point]
        assert len(client.of(what)) == count
    if way in CLOSED:
        assert closed.rcvd.code == CLOSED[way]
    else:
        assert closed.rcvd is None
        assert isinstance(closed.__cause__, ConnectionResetError) == (way == "reset")
    assert armed.happened == 1
    await (await server.next_call()).wait_closed()
    again = await dial(server)
    await whole_conversation(again)
    await again.socket.close()


@pytest.mark.parametrize("point", [point for point in POINTS if point != "connecting"])
async def test_a_half_open_line_says_and_reads_nothing(run, point):
    server = await run(MIND)
    armed = server.arm(point, "half_open")
    client = await dial(server)
    conversation = asyncio.create_task(whole_conversation(client))
    await armed.wait()
    await asyncio.wait([conversation], timeout=0.02)
    assert not conversation.done()
    conversation.cancel()
    count = len(client.events)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await (await client.socket.ping())
    assert client.socket.close_code is None
    assert len(client.events) == count
    client.socket.transport.abort()


@pytest.mark.parametrize("point", [point for point in POINTS if point != "connecting"])
async def test_a_stall_ends_and_the_call_goes_on(run, point):
    server = await run(MIND)
    armed = server.arm(point, "stall", seconds=0.05)
    client = await dial(server)
    began = asyncio.get_running_loop().time()
    await whole_conversation(client)
    assert armed.happened == 1
    assert asyncio.get_running_loop().time() - began >= (0.05 if point != "session_created" else 0)
    await client.socket.close()


async def test_a_connection_is_dropped_before_its_handshake_is_answered(run):
    server = await run()
    for way in ("reset", "fin"):
        server.arm("connecting", way)
        with pytest.raises((InvalidMessage, ConnectionResetError)):
            await connect(server.url, additional_headers=KEY)
    server.arm("connecting", "half_open")
    with pytest.raises(TimeoutError):
        await connect(server.url, additional_headers=KEY, open_timeout=0.05)
    server.arm("connecting:503")
    with pytest.raises(InvalidStatus) as refused:
        await connect(server.url, additional_headers=KEY)
    assert refused.value.response.status_code == 503
    server.arm("connecting", 1013)
    async with connect(server.url, additional_headers=KEY) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd.code == 1013
    server.arm("connecting", "expired")
    async with connect(server.url, additional_headers=KEY) as client:
        assert json.loads(await client.recv())["error"]["code"] == "session_expired"
    server.arm("connecting:stall=0.05")
    began = time.monotonic()
    client = await dial(server)
    assert time.monotonic() - began >= 0.05
    await client.socket.close()


async def test_points_are_counted_over_all_connections(run):
    server = await run(MIND)
    third = server.arm("response_created:1012:3")
    from_then_on = server.arm(Drop("connecting", 429, nth=3, times=None))
    client = await dial(server)
    await client.say("hello")
    await client.say("hello")
    await client.socket.close()
    client = await dial(server)
    closed = await ending(client, client.say("hello"))
    assert closed.rcvd.code == 1012
    assert (third.reached, third.happened) == (3, 1)
    for _ in range(2):
        with pytest.raises(InvalidStatus):
            await dial(server)
    assert from_then_on.happened == 2


async def test_what_never_happens_says_how_often_its_point_was_reached(run):
    server = await run(MIND)
    armed = server.arm("response_done:reset:2")
    client = await dial(server)
    await client.say("hello")
    with pytest.raises(TimeoutError, match=r"at response_done:reset:2 .* reached 1 times"):
        await armed.wait(seconds=0.01)
    await client.socket.close()


async def test_a_rst_is_one_on_the_wire(run):
    server = await run()
    host, port = server.url.split("/")[2].split(":")
    for way, expected in (("reset", ConnectionResetError), ("fin", None)):
        server.arm("connecting", way)
        with socket.create_connection((host, int(port))) as plain:
            plain.setblocking(False)
            loop = asyncio.get_running_loop()
            request = (
                "GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await loop.sock_sendall(plain, request.encode())
            if expected is None:
                assert await loop.sock_recv(plain, 100) == b""
            else:
                with pytest.raises(expected):
                    await loop.sock_recv(plain, 100)


async def test_a_call_is_dropped_at_once(run):
    server = await run(MIND)
    client = await dial(server)
    call = await server.next_call()
    await call.drop("expired")
    assert (await client.next())["error"]["code"] == "session_expired"
    assert (await ending(client, client.until("nothing"))).rcvd.code == 1001
    with pytest.raises(ValueError, match="no way 'gone'"):
        await call.drop("gone")


async def test_the_next_connections_are_refused():
    rude = Rudeness(refuse=2, refuse_with=429, retry_after=7)
    async with DevServer(rudeness=rude) as server:
        for _ in range(2):
            with pytest.raises(InvalidStatus) as refused:
                await connect(server.url, additional_headers=KEY)
            assert refused.value.response.status_code == 429
            assert refused.value.response.headers["Retry-After"] == "7"
        server.refuse_next("reset")
        with pytest.raises((InvalidMessage, ConnectionResetError)):
            await connect(server.url, additional_headers=KEY)
        client = await dial(server)
        await client.socket.close()


async def test_sessions_end_when_they_said_they_would():
    async with DevServer(rudeness=Rudeness(session_seconds=0.2)) as server:
        client = await dial(server)
        states = client.events[0]["session"]["expires_at"]
        assert states <= time.time() + 0.2
        error = (await client.until("error"))["error"]
        assert (error["code"], error["message"]) == (
            "session_expired",
            "Your session hit the maximum duration of 0.2 seconds.",
        )
        assert (await ending(client, client.until("nothing"))).rcvd.code == 1001


async def test_a_session_says_that_it_lasts_an_hour_where_nothing_else_is_set(run):
    client = await dial(await run())
    assert 3_590 < client.events[0]["session"]["expires_at"] - time.time() <= 3_600
    await client.socket.close()


async def test_a_slow_server_waits_before_each_message(run):
    server = await run(MIND)
    client = await dial(server)
    server.rudeness = Rudeness(slow_ms=20)
    began = time.monotonic()
    await client.write("hello")
    assert time.monotonic() - began >= 0.04
    server.rudeness = Rudeness()
    began = time.monotonic()
    other = await dial(server)
    assert time.monotonic() - began < 1
    for each in (client, other):
        await each.socket.close()


async def test_what_is_set_takes_the_place_of_what_was_armed(run):
    server = await run(MIND)
    server.arm("response_done:reset")
    server.refuse_next()
    server.rudeness = Rudeness()
    client = await dial(server)
    await client.say("hello")
    await client.socket.close()


async def test_the_server_tells_what_it_knows_of_a_conversation(run):
    server = await run(MIND)
    client = await dial(server)
    await client.say("What is the weather?", metadata={"topic": "rain"})
    conversation = (await server.next_call()).conversation
    call_id = conversation.items[-1].call_id
    assert conversation.messages == [("user", "What is the weather?")]
    assert conversation.calls == [("weather", {"city": "Paris, the one in France"})]
    assert conversation.unanswered == [call_id]
    output = {"type": "function_call_output", "call_id": call_id, "output": "sunny"}
    await client.send("conversation.item.create", item=output)
    await client.send("response.create")
    await client.until("response.done")
    assert conversation.outputs == {call_id: "sunny"}
    assert conversation.unanswered == []
    assert conversation.messages[-1] == ("assistant", "It is sunny.")
    assert conversation.responses_asked == [{"metadata": {"topic": "rain"}}, {}]
    assert [status for _, status in conversation.responses] == ["completed", "completed"]
    await client.socket.close()
