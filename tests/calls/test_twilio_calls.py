"""Calls over Twilio's media stream: through the listener, and in an ASGI app."""

from __future__ import annotations

import asyncio
import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.calls.twilio_phone import FRAME, TwilioPhone

from stapes import RealtimeAgent, RealtimeSession
from stapes.calls import (
    Call,
    CallEnded,
    CallInterrupted,
    CallResumed,
    CallServer,
    CallTokens,
    Dtmf,
)
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AGENT = RealtimeAgent(name="desk", instructions="Answer the phone.")


@asynccontextmanager
async def answered(answer: Any, **options: Any) -> AsyncIterator[CallServer]:
    """A server on a free port whose calls `answer` answers."""
    server = CallServer(port=0)
    server.twilio("/twilio", **options)(answer)
    async with server:
        yield server


def url_of(server: CallServer) -> str:
    """Where a phone calls it."""
    return f"ws://127.0.0.1:{server.port}/twilio"


async def until(condition: Any) -> None:
    """Waits for a condition of the session's."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def sound_of(messages: list[Any]) -> bytes:
    """The caller's sound that the model got."""
    appended = [m["audio"] for m in messages if m["type"] == "input_audio_buffer.append"]
    return b"".join(base64.b64decode(audio) for audio in appended)


async def speak(model: ScriptedServer, sound: bytes, *, item: str = "i", ends: bool = True) -> None:
    """Has the model answer with sound."""
    ids = {"response_id": "r", "item_id": item, "content_index": 0}
    await model.send({"type": "response.created", "response": {"id": "r"}})
    delta = base64.b64encode(sound).decode()
    await model.send({"type": "response.output_audio.delta", "delta": delta, **ids})
    if ends:
        await model.send({"type": "response.output_audio.done", **ids})
        await model.send({"type": "response.done", "response": {"id": "r", "output": []}})


class Desk:
    """An answer with a session, which the test looks into."""

    def __init__(self, model: ScriptedServer, **options: Any) -> None:
        self.model = model
        self.options = options
        self.session: RealtimeSession[Any] | None = None
        self.call: Call | None = None
        self.events: list[Any] = []

    async def __call__(self, call: Call) -> None:
        self.call = call
        call.on(object, self.events.append)
        session = RealtimeSession(AGENT, call=call, api_key="test", **self.options)
        await session.connect(url=self.model.url)
        self.session = session
        try:
            await call.ended()
        finally:
            await session.close()


async def test_a_call_knows_who_calls_and_ends_when_the_caller_hangs_up():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with answered(desk) as server, TwilioPhone(url_of(server), name="Ada") as phone:
            await phone.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            assert (call.id, call.stream_id, call.carrier) == ("CA1", "MZ1", "twilio")
            assert call.parameters == {"name": "Ada"}
            assert (call.codec, call.sample_rate) == ("audio/pcmu", 8000)
            await phone.press("7")
            await phone.hang_up()
            ended = await call.ended()
            assert ended.by == "caller"
            assert desk.events == [Dtmf("7", None), ended]
            assert "7" not in repr(desk.events[0])
            assert call.is_over
            await until(lambda: not server.standing)


async def test_sound_passes_both_ways_as_it_is():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with answered(desk) as server, TwilioPhone(url_of(server)) as phone:
            await phone.start()
            said = bytes(range(1, 128)) * 20
            said = said[: FRAME * 12]
            await phone.say(said)
            messages = await model.receive(1)
            update = messages[0]["session"]["audio"]
            assert update["input"]["format"] == update["output"]["format"] == {"type": "audio/pcmu"}
            await until(lambda: len(sound_of(model.received)) >= len(said))
            messages = model.received
            assert sound_of(messages) == said
            answer = bytes(range(128, 255)) * 50
            await speak(model, answer)
            await phone.until(lambda: len(phone.heard) >= len(answer))
            assert bytes(phone.heard) == answer
            assert phone.marks


async def test_an_interruption_clears_the_phone_and_cuts_what_was_heard():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with answered(desk) as server, TwilioPhone(url_of(server)) as phone:
            await phone.start()
            await until(lambda: desk.session is not None)
            await speak(model, b"\x11" * 8 * 5000, ends=False)
            await phone.until(lambda: len(phone.heard) >= 40_000)
            await asyncio.sleep(0.2)
            await model.send({"type": "input_audio_buffer.speech_started", "item_id": "u"})
            await phone.until(lambda: phone.clears == 1)
            await until(lambda: any("audio_end_ms" in message for message in model.received))
            (cut,) = [message for message in model.received if "audio_end_ms" in message]
            assert 100 <= cut["audio_end_ms"] <= 4000


async def test_a_server_that_strangers_can_reach_wants_a_check():
    server = CallServer(host="0.0.0.0", port=0)

    @server.twilio("/twilio")
    async def answer(call: Call) -> None: ...

    with pytest.raises(ValueError, match=r"nothing checks who does on /twilio.*auth_token="):
        async with server:
            pass


async def test_a_call_without_its_token_is_hung_up_and_one_with_it_is_answered():
    tokens = CallTokens()
    taken: list[str] = []

    async def answer(call: Call) -> None:
        taken.append(call.id)

    async with answered(answer, tokens=tokens) as server:
        for parameters in ({}, {"stapes_token": "none"}):
            async with TwilioPhone(url_of(server), **parameters) as phone:
                await phone.start()
                await phone.until(lambda phone=phone: phone.close_code is not None)
        token = tokens.mint("/twilio")
        for call in ("CA2", "CA3"):
            async with TwilioPhone(url_of(server), call=call, stapes_token=token) as phone:
                await phone.start()
                await phone.until(lambda phone=phone: phone.close_code is not None)
    assert taken == ["CA2"]


async def test_an_answer_that_raises_hangs_up():
    async def answer(call: Call) -> None:
        raise RuntimeError("no desk is there")

    async with answered(answer) as server, TwilioPhone(url_of(server)) as phone:
        await phone.start()
        await phone.until(lambda: phone.close_code is not None)
        assert phone.close_code == 1000


async def test_a_line_that_breaks_is_waited_for_and_the_call_goes_on():
    ended: list[CallEnded] = []
    calls: list[Call] = []

    changes: list[Any] = []

    async def answer(call: Call) -> None:
        call.on(CallInterrupted, changes.append)
        call.on(CallResumed, changes.append)
        calls.append(call)
        ended.append(await call.ended())

    async with answered(answer) as server:
        async with TwilioPhone(url_of(server)) as first:
            await first.start()
            await until(lambda: calls)
            first.socket.transport.abort()
        await until(lambda: len(changes) == 1)
        async with TwilioPhone(url_of(server), stream="MZ2") as second:
            await second.start()
            await until(lambda: len(changes) == 2)
            calls[0].play(b"\x22" * FRAME)
            await second.until(lambda: len(second.heard) == FRAME)
            assert len(calls) == 1
            await second.hang_up()
            await until(lambda: ended)
    assert ended[0].by == "caller"
