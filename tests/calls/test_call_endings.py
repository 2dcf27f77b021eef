"""How a call in an ASGI app ends, and its session with it: in memory, under a virtual clock."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.conformance.far_end import TwilioSocket

from stapes import NotConnectedError, RealtimeAgent, RealtimeSession
from stapes.calls import CallError, CallOptions, TwilioCall
from stapes.testing import ScriptedServer, settle
from stapes.virtual_time import has_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AGENT = RealtimeAgent(name="desk", instructions="Answer the phone.")
START = {
    "event": "start",
    "start": {"streamSid": "MZ1", "callSid": "CA1"},
    "streamSid": "MZ1",
}


@asynccontextmanager
async def called(options: CallOptions | None = None) -> AsyncIterator[tuple[TwilioCall, Any]]:
    """A call whose stream has started, and its WebSocket."""
    socket = TwilioSocket(lambda message: None)
    socket.say(json.dumps(START))
    token = has_virtual_time.set(True)
    try:
        call = TwilioCall(socket, options=options or CallOptions())
        async with call:
            yield call, socket
            call.hang_up()
    finally:
        has_virtual_time.reset(token)


@pytest.mark.parametrize("kind", [RuntimeError, asyncio.CancelledError])
async def test_a_websocket_that_raises_ends_the_call(kind: type[BaseException]) -> None:
    async with called() as (call, socket):
        socket.fail(kind("WebSocket is not connected"))
        async with asyncio.timeout(5):
            ended = await call.ended()
    assert (ended.by, ended.reason) == ("line", "WebSocket is not connected")


async def test_a_line_that_breaks_in_an_app_is_not_waited_for() -> None:
    async with called() as (call, socket):
        socket.end(1006)
        async with asyncio.timeout(5):
            ended = await call.ended()
    assert ended.by == "line"


async def test_a_session_that_is_lost_for_good_ends_the_call_unless_it_is_connected_again() -> None:
    async with ScriptedServer() as model, called() as (call, _):
        session = RealtimeSession(AGENT, call=call, api_key="test", reconnect=None)
        await session.connect(url=model.url)
        await settle(session, model)
        await model.close(1001)
        await settle(session, model)
        call.core.advance_clock(9.0)
        await session.connect(url=model.url)
        await settle(session, model)
        call.core.advance_clock(60.0)
        assert not call.is_over
        await model.close(1001)
        await settle(session, model)
        call.core.advance_clock(9.9)
        assert not call.is_over
        call.core.advance_clock(0.2)
        async with asyncio.timeout(5):
            ended = await call.ended()
    assert ended.by == "limit"
    assert "session_timeout" in ended.reason


async def test_a_session_that_is_closed_leaves_the_call_to_its_owner() -> None:
    async with ScriptedServer() as model, called() as (call, _):
        session = RealtimeSession(AGENT, call=call, api_key="test")
        await session.connect(url=model.url)
        await session.close()
        call.core.advance_clock(60.0)
        assert not call.is_over


async def test_no_session_connects_to_a_call_that_has_ended() -> None:
    async with ScriptedServer() as model, called() as (call, _):
        session = RealtimeSession(AGENT, call=call, api_key="test")
        call.hang_up()
        with pytest.raises(CallError, match="the call has ended"):
            await session.connect(url=model.url)
        assert model.handshakes == []


async def test_a_caller_who_hangs_up_when_the_session_connects_is_not_greeted() -> None:
    failures: list[Any] = []
    async with ScriptedServer() as model, called() as (call, _):
        session = RealtimeSession(AGENT, call=call, api_key="test", speaks_first="agent")
        session.on("error", failures.append)
        session.on(
            "connection_changed",
            lambda change: call.hang_up() if change.status == "connected" else None,
        )
        # The end of the call may be known before the server has begun.
        with suppress(NotConnectedError):
            await session.connect(url=model.url)
        await settle(session, model)
        await session.close()
    assert not failures


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_an_inactivity_that_is_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="inactivity_timeout"):
        CallOptions(inactivity_timeout=seconds)


async def test_a_call_whose_tokens_are_used_up_is_hung_up_when_the_answer_was_heard() -> None:
    options = CallOptions(max_tokens=100)
    async with ScriptedServer() as model, called(options) as (call, _):
        session = RealtimeSession(AGENT, call=call, api_key="test")
        await session.connect(url=model.url)
        for used in (60, 40):
            assert not call.is_over
            await respond(model, used)
            await settle(session, model)
        call.core.advance_clock(5.0)
        assert not call.is_over
        await respond(model, 1)
        await settle(session, model)
        # The caller may still hear the answer: Twilio tells that it was played, or has a second.
        call.core.advance_clock(5.0)
        async with asyncio.timeout(5):
            ended = await call.ended()
    assert ended.by == "us"


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 60, "output_tokens": 41},
        {"total_tokens": "101"},
        {"input_tokens": "60", "output_tokens": "41", "total_tokens": None},
        {"total_tokens": 101.0},
    ],
)
async def test_tokens_count_however_the_server_writes_them(usage: dict[str, Any]) -> None:
    async with ScriptedServer() as model, called(CallOptions(max_tokens=100)) as (call, _):
        session = RealtimeSession(AGENT, call=call, api_key="test")
        await session.connect(url=model.url)
        done = {"id": "r", "output": [], "usage": usage}
        await model.send({"type": "response.created", "response": {"id": "r"}})
        await model.send({"type": "response.done", "response": done})
        await settle(session, model)
        async with asyncio.timeout(5):
            assert (await call.ended()).by == "us"


async def respond(model: ScriptedServer, tokens: int) -> None:
    """The model answers, which uses so many tokens."""
    sound = base64.b64encode(bytes([1]) * 800).decode()
    ids = {"response_id": "r", "item_id": "i", "content_index": 0}
    usage = {"total_tokens": tokens, "input_tokens": 0, "output_tokens": tokens}
    await model.send({"type": "response.created", "response": {"id": "r"}})
    await model.send({"type": "response.output_audio.delta", "delta": sound, **ids})
    await model.send(
        {"type": "response.done", "response": {"id": "r", "output": [], "usage": usage}}
    )


def test_a_budget_is_a_whole_number() -> None:
    with pytest.raises(ValueError, match="max_tokens"):
        CallOptions(max_tokens=0)
