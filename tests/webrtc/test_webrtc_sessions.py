"""Sessions behave over WebRTC as over a WebSocket; what cannot be is refused by name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agents import UserError, function_tool
from calling import KEY, SECONDS

from stapes import (
    AgentToolEnd,
    AudioStopped,
    AuthenticationError,
    ConnectError,
    ConnectionChanged,
    ConnectTimeoutError,
    HandshakeError,
    IceServer,
    RealtimeAgent,
    RealtimeSession,
    StapesError,
    WebRTCTransport,
    _core,
)
from stapes.devserver import Call, DevServer, ScriptedMind, Turn

pytest.importorskip("aiortc", reason="the far side of these calls is aiortc")


def session_to(url: str | None = None, **options: Any) -> Any:
    transport = WebRTCTransport(url=url, **options)
    return RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, transport=transport)


async def refusal(session: Any, kind: type[BaseException]) -> str:
    with pytest.raises(kind) as refused:
        await asyncio.wait_for(session.connect(), SECONDS)
    assert type(refused.value) is kind
    assert session.status == "disconnected"
    assert KEY not in f"{refused.value} {refused.value!r}"
    return str(refused.value)


async def test_tools_run_and_the_answer_is_spoken(call):
    @function_tool
    def add(a: int, b: int) -> int:
        return a + b

    turns = [
        Turn(when="sum", call=Call("add", {"a": 2, "b": 3})),
        Turn(after="add", say="It is {output}."),
    ]
    agent = RealtimeAgent(name="front", instructions="Add.", tools=[add])
    called = await call(ScriptedMind(turns), agent=agent)
    called.session.send_message("The sum, please.")
    ended = await called.seen.until(AgentToolEnd)
    assert ended.result == "5"
    await called.seen.until(AudioStopped)
    assert "It is 5." in str(list(called.session.history))
    assert not called.seen.errors


async def test_closing_and_calling_again(call):
    called = await call(ScriptedMind(otherwise="Yes."))
    await called.session.close()
    assert called.session.status == "disconnected"
    await called.session.connect()
    called.session.send_message("Are you there?")
    await called.seen.until(AudioStopped)


async def test_a_server_that_vanishes_or_hangs_up_is_said(call):
    called = await call()
    await called.call.close()
    lost = await called.seen.until(ConnectionChanged, lambda e: e.status == "disconnected")
    assert lost.reason == "the server closed the connection"


async def test_refusals_of_the_offer_have_types_and_remedies(stack):
    server = await stack.enter_async_context(DevServer())
    url = f"{server.http_url}/realtime/calls"
    server.refuse_next(
        401, {"error": {"message": f"No such key {KEY}.", "code": "invalid_api_key"}}
    )
    assert "check the API key" in await refusal(session_to(url), AuthenticationError)
    server.refuse_next(429, {"error": {"message": "Slower."}})
    assert "rate limit" in await refusal(session_to(url), HandshakeError)
    server.hang_next()
    words = await refusal(session_to(url, connect_timeout=0.3), ConnectTimeoutError)
    assert "connect_timeout" in words


async def test_what_is_no_webrtc_server_is_told_apart(stack):
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
        await writer.drain()
        writer.close()

    server = await stack.enter_async_context(await asyncio.start_server(page, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    words = await refusal(session_to(f"http://127.0.0.1:{port}/"), HandshakeError)
    assert "not a WebRTC server" in words
    server.close()
    words = await refusal(session_to(f"http://127.0.0.1:{port}/"), ConnectError)
    assert "refused the connection" in words


async def test_urls_are_of_http(call):
    words = await refusal(session_to("wss://127.0.0.1:1/"), ConnectError)
    assert "https://" in words


async def test_a_call_that_stands_is_joined_over_a_websocket():
    with pytest.raises(UserError, match="WebSocket"):
        await session_to().connect(call_id="rtc_1")


async def test_sound_on_the_wire_is_opus_whatever_the_session_says():
    config = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    transport = WebRTCTransport(url="http://127.0.0.1:1/")
    session = RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=transport, config=config
    )
    with pytest.raises(ValueError, match=r"config\.audio\.input\.format"):
        await session.connect()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("complexity", 11),
        ("bitrate", 1),
        ("expected_loss", 101),
        ("connect_timeout", -1.0),
        ("channel_buffer", 0),
        ("local_addresses", ["0.0.0.0"]),
        ("max_queue", 0.001),
        ("min_delay", 0.5),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(option, value):
    with pytest.raises(ValueError, match=option):
        WebRTCTransport(**{option: value})


def test_options_show_no_secrets():
    server = IceServer("turn:turn.example.org:3478", "user", "pa55word")
    transport = WebRTCTransport(
        url="https://h/?key=sk-1", headers={"x": "sk-1"}, ice_servers=[server]
    )
    assert "pa55word" not in repr(transport)
    assert "sk-1" not in repr(transport)


def test_a_build_without_webrtc_says_so(monkeypatch):
    monkeypatch.setattr(_core, "HAS_WEBRTC", False)
    with pytest.raises(StapesError, match="no WebRTC"):
        RealtimeSession(RealtimeAgent(name="front"), transport="webrtc", api_key=KEY)
