"""Servers that send garbage, fall silent or hang up: the session says so and nothing hangs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from calling import KEY, SECONDS, Seen
from rude import rude

from stapes import (
    AgentEnd,
    Audio,
    ConnectionChanged,
    Error,
    RealtimeAgent,
    RealtimeSession,
    ServerError,
    TransportEvent,
    WebSocketTransport,
)
from stapes.devserver import ScriptedMind, Turn

LONG = ScriptedMind([Turn(say="word " * 400)])
TALK = ScriptedMind([Turn(say="Hello.")])


async def test_garbage_becomes_error_events_and_the_conversation_goes_on(call):
    c = await call(TALK)
    raw = Seen(c.session, "transport_event")
    garbage: list[str | bytes] = [
        "hello?",
        b"\x00\xff\x00",
        '{"type": "response.created", "resp',
        "",
        "[]",
        '"text"',
        '{"no": "type"}',
        '{"type": 7}',
        "[" * 100_000,
        '{"type":"x","v":"\\ud800}',
    ]
    for frame in garbage:
        c.call.send_raw(frame)
    await c.seen.until(Error, count=len(garbage))
    assert "not JSON" in str(c.seen.errors[0])
    assert "binary frame of 3 bytes" in str(c.seen.errors[1])
    assert all(len(str(error)) < 400 for error in c.seen.errors)
    c.session.send_message("hi")
    assert (await c.seen.until(AgentEnd)).output == "Hello."
    assert len(c.seen.errors) == len(garbage)
    assert all(isinstance(event, TransportEvent) for event in raw.events)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.created"},
        {"type": "response.created", "response": None},
        {"type": "response.created", "response": {"id": 7}},
        {"type": "response.done"},
        {"type": "response.done", "response": {"id": None, "output": {}}},
        {"type": "response.done", "response": {"id": "r", "output": [None, 1, {"content": 2}]}},
        {"type": "response.output_audio.delta"},
        {"type": "response.output_audio.delta", "delta": 1, "item_id": []},
        {"type": "response.output_audio.delta", "delta": "!!!", "item_id": "i", "response_id": "r"},
        {
            "type": "response.output_audio.delta",
            "delta": "AA==",
            "item_id": "i",
            "response_id": "r",
        },
        {"type": "response.output_audio_transcript.delta", "delta": {}},
        {"type": "response.output_item.added", "item": "no"},
        {
            "type": "response.output_item.done",
            "item": {"type": "function_call", "status": "completed"},
        },
        {"type": "response.output_item.done", "item": {"type": "message", "content": 5}},
        {"type": "conversation.item.added", "item": {"id": [], "type": "message"}},
        {"type": "conversation.item.done", "item": {"type": "mcp_approval_request"}},
        {"type": "conversation.item.done", "item": {"type": "mcp_list_tools", "tools": "many"}},
        {"type": "conversation.item.deleted"},
        {"type": "conversation.item.truncated"},
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": 1},
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": "x"},
        {"type": "session.updated", "session": []},
        {"type": "session.created", "session": {"tracing": 5}},
        {"type": "error"},
        {"type": "error", "error": "just text"},
        {"type": "error", "error": {"message": None, "code": 5}},
        {"type": "of.the.future", "anything": [1, 2, {"deep": {}}]},
    ],
    ids=lambda event: json.dumps(event)[9:70],
)
async def test_events_of_the_wrong_shape_hurt_nobody(call, event):
    c = await call(TALK)
    Seen(c.session, "transport_event")
    c.call.send_raw(json.dumps(event))
    c.session.send_message("hi")
    assert (await c.seen.until(AgentEnd, lambda end: end.output)).output == "Hello."
    assert not [
        e for e in c.seen.errors if type(e).__name__ in {"KeyError", "TypeError", "AttributeError"}
    ]


async def test_an_error_event_of_the_server_is_a_server_error(call):
    c = await call(TALK)
    c.session.transport.send_event({"type": "response.cancel", "event_id": "mine"})
    error = (await c.seen.until(Error)).error
    assert isinstance(error, ServerError)
    assert (error.code, error.event_id) == ("response_cancel_not_active", "mine")
    assert error.error_type == "invalid_request_error"


async def test_a_server_that_closes_in_mid_answer(call):
    c = await call(LONG, server={"pace": 10.0})
    c.session.send_message("talk")
    await c.seen.until(Audio)
    await c.call.close(1011, "out of order")
    over = await c.seen.until(ConnectionChanged, lambda change: change.status == "disconnected")
    assert over.reason == "the server closed the connection with code 1011: out of order"
    assert c.session.status == "disconnected"
    assert c.session.history
    with pytest.raises(ConnectionError):
        await c.session.send_message("still there?")


async def test_a_connection_that_breaks_in_mid_answer(call):
    c = await call(LONG, server={"pace": 10.0})
    c.session.send_message("talk")
    await c.seen.until(Audio)
    c.call.abort()
    over = await c.seen.until(ConnectionChanged, lambda change: change.status == "disconnected")
    assert over.reason is not None
    assert over.reason.startswith("the connection was lost: ")


async def test_a_session_connects_again_after_its_connection_broke(call):
    c = await call(TALK)
    c.call.abort()
    await c.seen.until(ConnectionChanged, lambda change: change.status == "disconnected")
    await c.session.connect()
    c.session.send_message("hi")
    assert (await c.seen.until(AgentEnd)).output == "Hello."


async def test_a_frame_over_the_limit_ends_the_connection_and_names_the_limit(run):
    server = await run(TALK)
    session = RealtimeSession(
        RealtimeAgent(name="front"),
        api_key=KEY,
        transport=WebSocketTransport(url=server.url, max_message_size=100_000),
        reconnect=None,
    )
    async with session:
        call = await server.next_call()
        call.send_raw("x" * 200_000)
        async with asyncio.timeout(SECONDS):
            changes = [event async for event in session.events(ConnectionChanged)]
    assert "raise max_message_size" in changes[-1].reason


async def test_a_response_that_is_never_answered_is_given_up_by_name(call):
    c = await call(TALK, response_timeout=0.05)
    c.call.go_silent()
    c.session.send_message("hi")
    error = await c.seen.until(Error)
    assert "unanswered for 0.05 s" in str(error.error)
    assert "raise response_timeout" in str(error.error)
    assert c.session.status == "connected"


async def test_a_configuration_that_is_never_confirmed_does_not_stop_the_conversation():
    async def deaf_to_configuration(socket: Any) -> None:
        await socket.send('{"type":"session.created","session":{}}')
        async for frame in socket:
            event = json.loads(frame)
            if event["type"] == "response.create":
                await socket.send('{"type":"response.created","response":{"id":"r"}}')
                await socket.send(
                    '{"type":"response.done","response":{"id":"r","status":"completed",'
                    '"output":[{"id":"i","type":"message","content":'
                    '[{"type":"output_text","text":"Hello."}]}]}}'
                )

    async with rude(deaf_to_configuration) as url, session_at(url) as session:
        session.send_message("hi")
        async with asyncio.timeout(SECONDS):
            assert (await anext(session.events(AgentEnd))).output == "Hello."


async def test_a_server_that_says_nothing_at_all_does_not_hang_connect_or_close():
    async def say_nothing(socket: Any) -> None:
        await socket.wait_closed()

    async with rude(say_nothing) as url:
        async with asyncio.timeout(SECONDS), session_at(url) as session:
            session.send_message("hi")
            session.interrupt()
        assert session.status == "disconnected"


async def test_a_server_that_never_answers_pings_is_given_up():
    async def deaf(socket: Any) -> None:
        socket.transport.pause_reading()
        await asyncio.Event().wait()

    transport = WebSocketTransport(
        ping_interval=0.02, ping_timeout=0.05, close_timeout=0.05, first_event_timeout=0
    )
    session = RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=transport, reconnect=None
    )
    async with rude(deaf, ping_interval=None) as url:
        await session.connect(url=url)
        async with asyncio.timeout(SECONDS):
            changes = [event async for event in session.events(ConnectionChanged)]
    assert "ping_timeout" in changes[-1].reason


async def test_a_server_that_does_not_answer_the_goodbye_does_not_hold_up_close():
    async def deaf(socket: Any) -> None:
        socket.transport.pause_reading()
        await asyncio.Event().wait()

    async with rude(deaf) as url, asyncio.timeout(1.0), session_at(url):
        pass


def session_at(url: str) -> Any:
    transport = WebSocketTransport(url=url, close_timeout=0.05, first_event_timeout=0)
    return RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=transport, reconnect=None
    )
