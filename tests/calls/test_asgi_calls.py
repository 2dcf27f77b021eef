"""Calls in an ASGI app, on a real server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket  # noqa: TC002 - Starlette reads annotations
from tests.calls.asgi_server import served
from tests.calls.test_twilio_calls import sound_of, speak, until
from tests.calls.twilio_phone import FRAME, TwilioPhone

from stapes import RealtimeAgent, RealtimeSession
from stapes.calls import CallError, CallTokens, TokenUsedError, TwilioCall
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

AGENT = RealtimeAgent(name="desk", instructions="Answer the phone.")


@asynccontextmanager
async def app(answer: Callable[[WebSocket], Awaitable[None]]) -> AsyncIterator[str]:
    """An app on a free port, whose route answers calls; the URL of the route."""
    routes = [WebSocketRoute("/twilio", answer)]
    async with served(Starlette(routes=routes)) as port:
        yield f"ws://127.0.0.1:{port}/twilio"


async def test_sound_passes_both_ways_and_an_interruption_clears_the_phone():
    ended: list[Any] = []
    async with ScriptedServer() as model:

        async def answer(websocket: WebSocket) -> None:
            async with TwilioCall(websocket) as call:
                session = RealtimeSession(AGENT, call=call, api_key="test")
                await session.connect(url=model.url)
                ended.append(await call.ended())
                await session.close()

        async with app(answer) as url, TwilioPhone(url) as phone:
            await phone.start()
            said = bytes(range(1, 128)) * 12
            said = said[: FRAME * 8]
            await phone.say(said)
            await until(lambda: sound_of(model.received) == said)
            await speak(model, b"\x11" * 8 * 3000, ends=False)
            await phone.until(lambda: len(phone.heard) == 24_000)
            await model.send({"type": "input_audio_buffer.speech_started", "item_id": "u"})
            await phone.until(lambda: phone.clears == 1)
            await phone.hang_up()
            await until(lambda: ended)
    assert ended[0].by == "caller"


async def test_a_call_that_brings_no_good_token_is_refused():
    tokens = CallTokens()
    seen: list[Any] = []

    async def answer(websocket: WebSocket) -> None:
        try:
            async with TwilioCall(websocket, tokens=tokens) as call:
                seen.append(call.id)
        except TokenUsedError as error:
            seen.append(error)

    token = tokens.mint("/twilio")
    async with app(answer) as url:
        for _ in range(2):
            async with TwilioPhone(url, stapes_token=token) as phone:
                await phone.start()
                await phone.until(lambda phone=phone: phone.close_code is not None)
    assert seen[0] == "CA1"
    assert isinstance(seen[1], TokenUsedError)


async def test_a_phone_that_goes_before_its_stream_starts_is_an_error():
    failures: list[Any] = []

    async def answer(websocket: WebSocket) -> None:
        try:
            async with TwilioCall(websocket):
                pass
        except CallError as error:
            failures.append(error)

    async with app(answer) as url:
        async with TwilioPhone(url):
            pass
        await until(lambda: failures)
    assert "before its stream started" in str(failures[0])
