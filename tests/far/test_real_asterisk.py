"""A real Asterisk calls an agent, over AudioSocket and over its WebSocket channel."""

from __future__ import annotations

import asyncio
import base64
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.sounds import at_rate, correlation, found, speech

from stapes import RealtimeAgent, RealtimeSession
from stapes.calls import Call, CallEnded, CallServer, CallTokens, Dtmf
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from numpy.typing import NDArray
    from tests.far.asterisk_pbx import Asterisk, AsteriskCall

pytestmark = pytest.mark.far

AGENT = RealtimeAgent(name="Desk", instructions="Answer the phone.")
MODEL_RATE = 24_000


@dataclass
class Answered:
    """The calls of a server, with the model's end of the one that stands."""

    model: ScriptedServer
    port: int = 0
    calls: list[Call] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    said: list[Any] = field(default_factory=list)
    ended: list[CallEnded] = field(default_factory=list)

    @property
    def got(self) -> NDArray[np.int16]:
        """What the model got of the caller."""
        kind = "input_audio_buffer.append"
        sound = [m["audio"] for m in self.model.received if m["type"] == kind]
        return np.frombuffer(b"".join(map(base64.b64decode, sound)), np.int16)

    async def speaks(self, sound: NDArray[np.int16]) -> None:
        """The model answers, faster than it is heard."""
        ids = {"response_id": "r", "item_id": "i", "content_index": 0}
        await self.model.send({"type": "response.created", "response": {"id": "r"}})
        for at in range(0, len(sound), MODEL_RATE // 5):
            delta = base64.b64encode(sound[at : at + MODEL_RATE // 5].tobytes()).decode()
            await self.model.send({"type": "response.output_audio.delta", "delta": delta, **ids})
        await self.model.send({"type": "response.output_audio.done", **ids})
        await self.model.send({"type": "response.done", "response": {"id": "r", "output": []}})

    async def until(self, condition: Callable[[], Any], seconds: float = 20) -> None:
        """Waits for a condition."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)


async def answered_with(
    answered: Answered, asterisk: Asterisk, extension: str, answer: NDArray[np.int16], stays: float
) -> AsteriskCall:
    """A call of Asterisk's that the model answers with that sound."""
    call = asterisk.call(extension, stays=stays, port=answered.port)
    await answered.until(lambda: answered.calls)
    await answered.speaks(answer)
    return call


@asynccontextmanager
async def answering(websocket_port: int, *, sample_rate: int = 8000) -> AsyncIterator[Answered]:
    """A server of calls, at the port that Asterisk knows."""
    async with ScriptedServer() as model:
        answered = Answered(model)
        server = CallServer(port=websocket_port)

        @server.audiosocket(port=0, sample_rate=sample_rate)
        @server.route("asterisk", "/asterisk")
        async def answer(call: Call) -> None:
            call.on(Dtmf, lambda key: answered.keys.append(key.digit))
            session = RealtimeSession(AGENT, call=call, api_key="test")
            session.on("agent_end", answered.said.append)
            await session.connect(url=model.url)
            answered.calls.append(call)
            answered.ended.append(await call.ended())
            await session.close()

        async with server:
            answered.port = server.ports["audiosocket"]
            yield answered


@pytest.mark.parametrize(
    ("extension", "rate"),
    [
        ("audiosocket", 8000),
        ("audiosocket_channel", 16_000),
        ("websocket", 8000),
        ("websocket", 16_000),
        ("websocket", 24_000),
    ],
)
async def test_sound_is_the_same_both_ways(
    asterisk: Asterisk, websocket_port: int, extension: str, rate: int
) -> None:
    said, answer = speech(2, rate, 1), speech(2, MODEL_RATE, 2)
    async with answering(websocket_port, sample_rate=rate) as answered:
        call = asterisk.call(extension, rate=rate, says=said, stays=2, port=answered.port)
        await answered.until(lambda: answered.calls)
        await answered.speaks(answer)
        await answered.until(lambda: answered.ended)
        got = answered.got
    assert correlation(at_rate(said, rate, MODEL_RATE), got) > 0.95
    assert found(at_rate(answer, MODEL_RATE, rate), call.heard(), rate) >= 0.8
    assert answered.ended[0].by == "caller"


@pytest.mark.parametrize("extension", ["audiosocket", "websocket"])
async def test_keys_that_the_caller_presses_arrive(
    asterisk: Asterisk, websocket_port: int, extension: str
) -> None:
    async with answering(websocket_port) as answered:
        asterisk.call(extension, digits="12#", stays=0.5, port=answered.port)
        await answered.until(lambda: answered.ended)
    assert answered.keys == ["1", "2", "#"]


@pytest.mark.parametrize("extension", ["audiosocket", "websocket"])
async def test_a_call_that_is_hung_up_here_goes_on_in_the_dial_plan_when_all_was_heard(
    asterisk: Asterisk, websocket_port: int, extension: str
) -> None:
    answer = speech(1, MODEL_RATE, 3)
    async with answering(websocket_port) as answered:
        call = await answered_with(answered, asterisk, extension, answer, stays=10)
        await answered.until(lambda: answered.said)
        answered.calls[0].hang_up(after_playback=True)
        await answered.until(lambda: answered.ended)
        after = f"the dial plan goes on after {call.id}"
        await answered.until(lambda: after in asterisk.log())
    assert answered.ended[0].by == "us"
    assert found(at_rate(answer, MODEL_RATE, 8000), call.heard(), 8000) >= 0.8


@pytest.mark.parametrize("extension", ["audiosocket", "websocket"])
async def test_an_interruption_stops_what_the_caller_hears(
    asterisk: Asterisk, websocket_port: int, extension: str
) -> None:
    answer = speech(8, MODEL_RATE, 4)
    async with answering(websocket_port) as answered:
        call = await answered_with(answered, asterisk, extension, answer, stays=4)
        await answered.until(lambda: len(call.heard()) > 8000)
        started = {"type": "input_audio_buffer.speech_started", "item_id": "u"}
        await answered.model.send(started)
        await answered.until(lambda: answered.ended)
        kind = "conversation.item.truncate"
        cuts = [m["audio_end_ms"] for m in answered.model.received if m["type"] == kind]
    # Sound, but for the silence of the telephone, was heard for as long as the history has it.
    loud = np.flatnonzero(np.abs(call.heard()) > 300)
    heard_ms = (loud[-1] - loud[0]) / 8
    assert len(cuts) == 1
    assert abs(cuts[0] - heard_ms) < 200
    assert heard_ms < 4000


async def test_a_token_and_a_parameter_come_in_the_query(
    asterisk: Asterisk, websocket_port: int
) -> None:
    tokens = CallTokens()
    server = CallServer(port=websocket_port)
    numbers: list[str] = []

    @server.route("asterisk", "/asterisk", tokens=tokens)
    async def answer(call: Call) -> None:
        numbers.append(str(call.caller))

    async with server:
        asterisk.call("checked", token="none")
        asterisk.call("checked", token=tokens.mint("/asterisk"))
        async with asyncio.timeout(20):
            while not numbers:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
    assert numbers == ["+1555 0100"]


@pytest.mark.parametrize("extension", ["checked", "audiosocket_or_busy"])
async def test_the_dial_plan_goes_on_where_no_server_takes_calls(
    asterisk: Asterisk, extension: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    call = asterisk.call(extension, stays=5, port=port)
    async with asyncio.timeout(20):
        while f"busy for {call.id}: CHANUNAVAIL" not in asterisk.log():
            await asyncio.sleep(0.05)
