"""Calls from web pages: over the listener, and in an ASGI app."""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from agents import function_tool
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from tests.calls.asgi_server import served
from tests.calls.browser_page import SUBPROTOCOL, BrowserPage
from tests.calls.test_twilio_calls import AGENT, Desk, sound_of, speak, until
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from stapes import RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.audio import OpusDecoder, OpusEncoder
from stapes.calls import (
    BrowserCall,
    Call,
    CallError,
    CallInterrupted,
    CallMessage,
    CallOptions,
    CallResumed,
    CallServer,
    CallTokens,
    OriginError,
    PageEvents,
)
from stapes.calls.page_events import MOST_EARLY_LINES
from stapes.devserver import DevServer, Options, ScriptedMind, ToneVoice
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SECOND = 48_000
"""Bytes of a second of PCM at 24 kHz."""


def tone(seconds: float) -> bytes:
    """Sound of that length."""
    times = np.arange(int(24_000 * seconds)) / 24_000
    return bytes((8_000 * np.sin(2 * np.pi * 300 * times)).astype("<i2").tobytes())


def is_cut(message: Any) -> bool:
    """Whether the model is told that an answer was cut."""
    return bool(message["type"] == "conversation.item.truncate")


class Waiting:
    """An answer that waits for the end of its calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def __call__(self, call: Call) -> None:
        self.calls.append(call)
        await call.ended()


@asynccontextmanager
async def listening(answer: Any, **options: Any) -> AsyncIterator[str]:
    """A listener that `answer` answers for: the URL."""
    server = CallServer(port=0)
    server.browser("/talk", **options)(answer)
    async with server:
        yield f"ws://127.0.0.1:{server.port}/talk"


@asynccontextmanager
async def in_an_app(answer: Any, **options: Any) -> AsyncIterator[str]:
    """The same in an ASGI app."""

    async def talk(websocket: Any) -> None:
        async with BrowserCall(websocket, **options) as call:
            await answer(call)

    async with served(Starlette(routes=[WebSocketRoute("/talk", talk)])) as port:
        yield f"ws://127.0.0.1:{port}/talk"


either = pytest.mark.parametrize("serving", [listening, in_an_app])


@either
async def test_sound_passes_both_ways_as_it_is(serving: Callable[..., Any]):
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with serving(desk) as url, BrowserPage(url, room="12") as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            assert (call.id, call.carrier, call.sample_rate) == (page.call_id, "browser", 24_000)
            assert call.parameters == {"room": "12"}
            assert page.messages[0] == {"type": "started", "resumed": False}
            said = tone(0.4)
            for at in range(0, len(said), 1_920):
                await page.say(said[at : at + 1_920])
            await until(lambda: len(sound_of(model.received)) >= len(said))
            assert sound_of(model.received) == said
            answer = tone(1.5)
            await speak(model, answer)
            await page.until(lambda: len(page.heard) >= len(answer))
            assert bytes(page.heard) == answer
            await page.send({"type": "end"})
            assert (await call.ended()).by == "caller"


@either
async def test_an_interruption_clears_and_cuts_at_what_the_page_has_reported(
    serving: Callable[..., Any],
):
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with serving(desk) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            await speak(model, tone(4.0))
            await page.until(lambda: len(page.heard) == 4 * SECOND)
            # It has played 1.2 s, however long ago the sound was sent.
            page.played = 28_800
            for _ in range(4):
                await page.say()
            for mark in [m["id"] for m in page.messages if m["type"] == "mark"][:3]:
                await page.send({"type": "mark", "id": mark})
            await page.say()
            await asyncio.sleep(0)
            started = {"type": "input_audio_buffer.speech_started", "item_id": "u"}
            await page.say(tone(0.1))
            await until(lambda: sound_of(model.received))
            await model.send({**started, "audio_start_ms": 0})
            await page.until(lambda: page.generation == 1)
            await until(lambda: any(is_cut(message) for message in model.received))
            cut = [message for message in model.received if is_cut(message)]
            assert 1_200 <= cut[0]["audio_end_ms"] <= page.most_heard_ms + 60
            await page.until(lambda: bool(page.told("interrupted")))


async def test_what_a_page_reports_of_before_a_clear_says_nothing_of_what_comes_after_it():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            call.play(tone(1.0))
            await page.until(lambda: len(page.heard) == SECOND)
            call.clear()
            await page.until(lambda: page.generation == 1)
            call.play(tone(0.5))
            await page.until(lambda: len(page.heard) == SECOND * 3 // 2)
            waiting = asyncio.ensure_future(call.played())
            page.generation, page.played = 0, 24_000
            await page.say()
            page.generation, page.played = 1, 0
            await page.say()
            await until(lambda: call.core.stats()[4] == 0)
            assert not waiting.done()
            page.played = 12_000
            await page.say()
            for message in page.messages:
                if message["type"] == "mark":
                    await page.send(message)
            assert await waiting


@either
async def test_the_query_of_the_url_is_among_the_parameters(serving: Callable[..., Any]):
    answer = Waiting()
    calls = answer.calls

    async with (
        serving(answer) as url,
        BrowserPage(f"{url}?room=9&a=%C3%A9", a="of the start") as page,
    ):
        await page.start()
        await until(lambda: calls)
        assert calls[0].parameters == {"a": "of the start", "room": "9"}


async def test_a_client_that_reports_nothing_sends_sound_alone_and_is_cut_by_the_clock():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, BrowserPage(url) as page:
            start = {"type": "start", "call_id": page.call_id, "reports": False}
            await page.send(start)
            await until(lambda: desk.session is not None)
            await page.socket.send(tone(0.1))
            await until(lambda: sound_of(model.received) == tone(0.1))
            await speak(model, tone(4.0))
            await page.until(lambda: len(page.heard) == 4 * SECOND)
            await model.send({"type": "input_audio_buffer.speech_started", "item_id": "u"})
            await page.until(lambda: page.generation == 1)
            await until(lambda: any(is_cut(message) for message in model.received))
            cut = next(message for message in model.received if is_cut(message))
            assert cut["audio_end_ms"] < 2_000
            assert not [message for message in page.messages if message["type"] == "mark"]


async def test_opus_is_spoken_both_ways():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, BrowserPage(url, codec="opus") as page:
            await page.start()
            await until(lambda: desk.session is not None)
            encoder, decoder = OpusEncoder(24_000), OpusDecoder(24_000, output="int16")
            said = np.frombuffer(tone(1.0), dtype="<i2")
            for at in range(0, len(said), 480):
                await page.say(encoder.encode(said[at : at + 480]))
            await until(lambda: len(sound_of(model.received)) >= SECOND)
            got = np.frombuffer(sound_of(model.received), dtype="<i2").astype(float)
            assert np.std(got[4_800:]) == pytest.approx(np.std(said), rel=0.1)
            await speak(model, tone(0.5))
            await page.until(lambda: len(page.packets) >= 25)
            heard = np.concatenate([decoder.decode(packet) for packet in page.packets])
            assert len(heard) >= 12_000
            assert np.std(heard[4_800:12_000]) == pytest.approx(np.std(said), rel=0.1)


async def test_a_page_with_another_rate_is_resampled():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, BrowserPage(url, sample_rate=48_000) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            for _ in range(25):
                await page.say(bytes(3_840))
            await until(lambda: len(sound_of(model.received)) >= 0.9 * SECOND)
            await speak(model, tone(0.5))
            await page.until(lambda: len(page.heard) >= 0.9 * SECOND)


@function_tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}, and the key is sk-1"


TALKER = RealtimeAgent(name="Front desk", instructions="A secret.", tools=[weather])


async def converse(model: ScriptedServer) -> None:
    """A question, a tool, an answer."""
    user = {"id": "u", "type": "message", "role": "user", "status": "completed"}
    audio = {"type": "input_audio", "transcript": None}
    await model.send({"type": "conversation.item.added", "item": {**user, "content": [audio]}})
    heard = {"item_id": "u", "content_index": 0}
    kind = "conversation.item.input_audio_transcription"
    await model.send({"type": f"{kind}.delta", "delta": "The wea", **heard})
    await model.send({"type": f"{kind}.completed", "transcript": "The weather?", **heard})
    call = {
        "id": "f",
        "type": "function_call",
        "name": "weather",
        "call_id": "c",
        "arguments": '{"city":"Paris"}',
        "status": "completed",
    }
    await model.send({"type": "response.created", "response": {"id": "r1"}})
    await model.send({"type": "response.output_item.done", "response_id": "r1", "item": call})
    await model.send({"type": "response.done", "response": {"id": "r1", "output": [call]}})
    await until(lambda: any(m["type"] == "response.create" for m in model.received))
    await model.send({"type": "response.created", "response": {"id": "r2"}})
    item = {"id": "a", "type": "message", "role": "assistant", "content": []}
    ids = {"response_id": "r2", "item_id": "a", "content_index": 0}
    await model.send({"type": "response.output_item.added", "response_id": "r2", "item": item})
    await model.send({"type": "response.output_audio_transcript.delta", "delta": "It is ", **ids})
    await model.send({"type": "response.output_audio_transcript.delta", "delta": "sunny.", **ids})
    sound = base64.b64encode(tone(0.1)).decode()
    await model.send({"type": "response.output_audio.delta", "delta": sound, **ids})
    part = {"type": "output_audio", "transcript": "It is sunny."}
    done = {**item, "status": "completed", "content": [part]}
    await model.send({"type": "response.output_item.done", "response_id": "r2", "item": done})
    await model.send({"type": "response.done", "response": {"id": "r2", "output": [done]}})


@pytest.mark.parametrize("tools", ["none", "names", "all"])
async def test_a_page_is_told_what_is_said_and_done_and_nothing_else(tools: Any):
    async with ScriptedServer() as model:

        async def answer(call: Call) -> None:
            session = RealtimeSession(TALKER, call=call, api_key="test")
            await session.connect(url=model.url)
            session.send_message("What only the application knows")
            await call.ended()
            await session.close()

        events = PageEvents(tools=tools)
        async with listening(answer, events=events) as url, BrowserPage(url) as page:
            await page.start()
            await page.until(lambda: bool(page.told("agent")))
            await converse(model)
            await page.until(lambda: sum(e["final"] for e in page.told("transcript")) == 2)
            told = [event for event in page.told("transcript") if event["final"]]
            assert [(event["role"], event["text"]) for event in told] == [
                ("user", "The weather?"),
                ("assistant", "It is sunny."),
            ]
            partly = [event["text"] for event in page.told("transcript") if not event["final"]]
            assert "The wea" in partly
            assert "It is " in partly
            assert page.told("agent") == [{"type": "agent", "name": "Front desk"}]
            states = [event["state"] for event in page.told("state")]
            assert states[:2] == ["connecting", "listening"]
            assert "speaking" in states
            if tools != "none":
                await page.until(lambda: len(page.told("tool")) == 2)
            statuses = [(tool["name"], tool["status"]) for tool in page.told("tool")]
            if tools == "none":
                assert statuses == []
            else:
                assert statuses == [("weather", "started"), ("weather", "finished")]
            text = str(page.messages)
            assert ("Paris" in text) == ("sk-1" in text) == (tools == "all")
            assert "only the application" not in text
            assert "secret" not in text


async def test_a_page_types_interrupts_and_talks_with_the_application():
    said: list[Any] = []
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            call.on(CallMessage, lambda event: said.append(event.data))
            await page.send({"type": "say", "text": "Is the pool open?"})
            await until(lambda: any("pool" in str(message) for message in model.received))
            await page.send({"type": "message", "data": {"page": 3}})
            await until(lambda: said)
            assert said == [{"page": 3}]
            call.send_message({"show": "map"})
            wanted = {"type": "message", "data": {"show": "map"}}
            await page.until(lambda: wanted in page.messages)
            await speak(model, tone(2.0))
            await page.until(lambda: len(page.heard) == 2 * SECOND)
            await page.send({"type": "interrupt"})
            await page.until(lambda: page.generation == 1)
            with pytest.raises(TypeError):
                call.send_message(object())
            call.hang_up()
            await page.until(lambda: page.close_code is not None)
            assert page.messages[-1]["type"] == "end"
            with pytest.raises(CallError, match="over"):
                call.send_message(1)


@pytest.mark.parametrize("rude", [True, False])
async def test_a_page_that_dials_again_with_its_id_goes_on_with_its_call(rude: bool):
    resumed: list[Any] = []
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            call.on(CallResumed, resumed.append)
            await page.say(tone(0.2))
            await until(lambda: sound_of(model.received))
            if rude:
                page.break_off()
            else:
                # Its old line stands, as far as the server knows, and is silent.
                await asyncio.sleep(0.25)
            async with BrowserPage(url, call_id=page.call_id) as again:
                await again.start()
                await until(lambda: resumed)
                assert again.messages[0] == {"type": "started", "resumed": True}
                await again.until(lambda: bool(again.told("agent")))
                await page.until(lambda: page.close_code is not None)
                await speak(model, tone(0.3))
                await again.until(lambda: len(again.heard) == SECOND * 3 // 10)
                assert not call.is_over
                await again.send({"type": "end"})
                await call.ended()
        assert len(model.handshakes) == 1


async def test_a_page_cannot_take_over_a_call_of_another_kind_or_one_that_is_spoken_on():
    answer = Waiting()
    calls = answer.calls

    async with listening(answer) as url, BrowserPage(url) as page:
        await page.start()
        await until(lambda: calls)
        async with BrowserPage(url, call_id=page.call_id) as other:
            await page.say(tone(0.02))
            await other.start()
            await until(lambda: len(calls) == 2)
            assert other.messages[0] == {"type": "started", "resumed": False}
            assert [call.is_over for call in calls] == [False, False]


@either
@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://127.0.0.1:1"])
async def test_pages_of_other_origins_are_refused_unless_they_are_allowed(
    serving: Callable[..., Any], origin: str
):
    answered: list[Call] = []

    async def answer(call: Call) -> None:
        answered.append(call)
        await call.ended()

    refused: Any = origin
    async with serving(answer) as url:
        with pytest.raises(InvalidStatus) as caught:
            await connect(url, origin=refused, subprotocols=[SUBPROTOCOL])
        assert caught.value.response.status_code == 403
        assert not answered
    async with serving(answer, origins=[origin]) as url, BrowserPage(url, origin=origin) as page:
        await page.start()
        await until(lambda: answered)
    async with serving(answer) as url:
        own = url.replace("ws:", "http:").removesuffix("/talk")
        async with BrowserPage(url, origin=own) as page:
            await page.start()
            await until(lambda: len(answered) == 2)


async def test_a_name_that_was_made_to_point_to_this_machine_is_refused():
    async with listening(AGENT) as url:
        host, port = "127.0.0.1", int(url.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"GET /talk HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 403 " in head
        writer.close()


@dataclass(frozen=True)
class _File:
    content_type: str
    content: bytes


async def test_files_are_served_beside_the_calls():
    server = CallServer(port=0)
    server.browser("/talk")(AGENT)
    server.serve_files({"/": _File("text/html; charset=utf-8", b"<p>hello")})
    with pytest.raises(ValueError, match="slash"):
        server.serve_files({"main.js": _File("text/javascript", b"")})
    async with server:
        url = f"http://127.0.0.1:{server.port}"

        def read(path: str, **headers: str) -> Any:
            return urllib.request.urlopen(urllib.request.Request(url + path, headers=headers))

        answer = await asyncio.to_thread(read, "/")
        assert answer.read() == b"<p>hello"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        for path, headers, status in [
            ("/other", {}, 404),
            ("/", {"Host": "evil.example"}, 403),
            ("/", {"If-None-Match": answer.headers["etag"]}, 304),
        ]:
            with pytest.raises(urllib.error.HTTPError) as caught:
                await asyncio.to_thread(read, path, **headers)
            assert caught.value.code == status


async def test_more_calls_than_may_stand_are_ended_with_a_reason():
    answer = Waiting()
    calls = answer.calls

    server = CallServer(port=0, max_calls=1)
    server.browser("/talk")(answer)
    async with server:
        url = f"ws://127.0.0.1:{server.port}/talk"
        async with BrowserPage(url) as page:
            await page.start()
            await until(lambda: calls)
            async with BrowserPage(url) as other:
                await other.start()
                await other.until(lambda: other.close_code is not None)
                assert "max_calls" in str(other.socket.close_reason)
        await until(lambda: calls[0].is_over)
        async with BrowserPage(url) as page:
            await page.start()
            await until(lambda: len(calls) == 2)


async def test_200_pages_come_and_go_a_third_of_them_rudely_and_nothing_is_left():
    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    def threads() -> Counter[str]:
        # asyncio's own pool grows up to its bound.
        names = (thread.name for thread in threading.enumerate())
        return Counter(name for name in names if not name.startswith("asyncio_"))

    def left() -> int:
        gc.collect()
        return sum(isinstance(it, Call | RealtimeSession) for it in gc.get_objects())

    mind = ScriptedMind(otherwise="Once upon a time there was a very long story. " * 5)
    async with DevServer(mind, ToneVoice(), Options(pace=None)) as model:
        standing: list[Call] = []

        async def answer(call: Call) -> None:
            transport = WebSocketTransport(url=model.url)
            session = RealtimeSession(AGENT, call=call, api_key="any", transport=transport)
            standing.append(call)
            async with session:
                session.send_message("Say something long.")
                await call.ended()
            standing.remove(call)

        async def come_and_go(url: str, number: int) -> None:
            async with BrowserPage(url) as page:
                await page.start()
                await page.until(lambda: len(page.heard) > 4_800)
                if number % 3 == 0:
                    page.break_off()
                else:
                    await page.send({"type": "end"})

        options = CallOptions(resume_timeout=0.1)
        async with listening(answer, options=options) as url:
            await come_and_go(url, 0)
            await until(lambda: not standing)
            opened, begun, before = files(), threads(), left()
            for at in range(0, 200, 20):
                await asyncio.gather(*(come_and_go(url, at + number) for number in range(20)))
            await until(lambda: not standing)
            await until(lambda: files() <= opened + 4)
            assert not threads() - begun
            # What ends a call may still be on its way out.
            async with asyncio.timeout(20):
                while left() > before + 2:
                    await asyncio.sleep(0.1)


async def test_a_page_brings_a_token():
    answer = Waiting()
    calls = answer.calls

    tokens = CallTokens()
    async with listening(answer, tokens=tokens) as url:
        async with BrowserPage(url) as page:
            await page.start()
            await page.until(lambda: page.close_code is not None)
        assert not calls
        async with BrowserPage(url, stapes_token=tokens.mint("/talk")) as page:
            await page.start()
            await until(lambda: calls)


async def test_a_flood_of_sound_or_of_messages_is_dropped_and_counted():
    calls: list[Call] = []
    said: list[Any] = []

    async def answer(call: Call) -> None:
        call.on(CallMessage, said.append)
        calls.append(call)
        await call.ended()

    options = CallOptions(max_ahead=2.0)
    async with listening(answer, options=options) as url, BrowserPage(url) as page:
        await page.start()
        await until(lambda: calls)
        began = time.monotonic()
        for _ in range(100):
            await page.say(bytes(SECOND // 10))
        for number in range(200):
            await page.send({"type": "message", "data": number})
        await until(lambda: calls[0].core.stats()[4] >= 150)
        packets = calls[0].core.stats()[0]
        assert 20 <= packets <= 25 + 11 * (time.monotonic() - began)
        await until(lambda: len(said) >= 50)
        assert len(said) <= 55 + 10 * (time.monotonic() - began)
        assert not calls[0].is_over


@either
async def test_a_page_whose_session_has_no_key_is_told_that_there_is_no_agent(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    async def answer(call: Call) -> None:
        async with RealtimeSession(AGENT, call=call):
            await call.ended()

    async with serving(answer) as url, BrowserPage(url) as page:
        await page.start()
        await page.until(lambda: page.close_code is not None)
        error = {"type": "error", "message": "The agent cannot be reached."}
        assert page.told("error") == [error]
        told = [one["type"] for one in page.messages]
        assert told.index("event") < told.index("end")
        assert "OPENAI" not in str(page.messages)


async def test_a_page_whose_model_refuses_is_told_once_that_there_is_no_agent():
    async with ScriptedServer() as model:
        url_of_nothing = model.url

    async def answer(call: Call) -> None:
        session = RealtimeSession(AGENT, call=call, api_key="test")
        await session.connect(url=url_of_nothing)

    async with listening(answer) as url, BrowserPage(url) as page:
        await page.start()
        await page.until(lambda: page.close_code is not None)
        assert [one["message"] for one in page.told("error")] == ["The agent cannot be reached."]


async def test_lines_typed_before_the_session_is_there_wait_for_it_up_to_a_bound():
    may_connect = asyncio.Event()
    async with ScriptedServer() as model:
        desk = Desk(model)

        async def answer(call: Call) -> None:
            await may_connect.wait()
            await desk(call)

        async with listening(answer) as url, BrowserPage(url) as page:
            await page.start()
            lines = [f"Line {number}." for number in range(MOST_EARLY_LINES + 1)]
            for line in lines:
                await page.send({"type": "say", "text": line})
            await page.until(lambda: page.told("error"))
            may_connect.set()

            def typed() -> list[str]:
                items = [one["item"] for one in model.received if "item" in one]
                return [item["content"][0]["text"] for item in items if "content" in item]

            await until(lambda: len(typed()) >= MOST_EARLY_LINES)
            assert typed() == lines[:-1]
            assert [one["message"] for one in page.told("error")] == ["The agent is not there."]


async def test_a_page_is_told_where_the_provider_takes_no_typed_messages():
    async with ScriptedServer() as model:
        desk = Desk(model, provider="qwen")
        async with listening(desk) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            await page.send({"type": "say", "text": "Is the pool open?"})
            message = "This agent takes no typed messages."
            wanted = {"type": "event", "event": {"type": "error", "message": message}}
            await page.until(lambda: wanted in page.messages)
            await page.say(tone(0.1))
            await until(lambda: any("append" in one["type"] for one in model.received))
            assert not any("pool" in str(one) for one in model.received)


async def test_a_page_that_says_nonsense_harms_nobody():
    answer = Waiting()
    calls = answer.calls

    async with listening(answer) as url, BrowserPage(url) as good:
        await good.start()
        await until(lambda: calls)
        for nonsense in ["", "{", "[]", '{"type":"start"}', '{"type":5}', b"", b"\x00" * 7]:
            async with BrowserPage(url) as page:
                await page.socket.send(nonsense)
                await page.start()
                await page.socket.send(nonsense)
                await page.say(b"\x01")
                await page.send({"type": "say", "text": "nobody is coupled"})
        await until(lambda: sum(not call.is_over for call in calls) == 1)
        assert not calls[0].is_over


def test_a_server_that_is_reached_from_elsewhere_must_say_that_anybody_may_call():
    async def listen(**options: Any) -> None:
        server = CallServer(host="0.0.0.0", port=0)
        server.browser("/talk", **options)(AGENT)
        async with server:
            pass

    with pytest.raises(ValueError, match="public=True"):
        asyncio.run(listen())
    asyncio.run(listen(public=True))
    server = CallServer()
    with pytest.raises(TypeError, match="list"):
        server.browser("/talk", origins="https://a.example")
    with pytest.raises(ValueError, match="an origin is"):
        server.browser("/talk", origins=["https://a.example/path"])


async def test_a_page_that_is_refused_is_told_why_by_the_close_code():
    answer = Waiting()
    calls = answer.calls

    tokens = CallTokens()
    server = CallServer(port=0, max_calls=1)
    server.browser("/open")(answer)
    server.browser("/talk", tokens=tokens)(answer)
    async with server:
        url = f"ws://127.0.0.1:{server.port}"
        async with BrowserPage(f"{url}/talk") as page:
            await page.start()
            await page.until(lambda: page.close_code is not None)
            assert page.close_code == 4403
        async with BrowserPage(f"{url}/open") as page:
            await page.start()
            await until(lambda: calls)
            async with BrowserPage(f"{url}/open") as other:
                await other.start()
                await other.until(lambda: other.close_code is not None)
                assert (other.close_code, other.messages) == (1013, [])
        async with BrowserPage(f"{url}/open", codec="mp3") as page:
            await page.start()
            await page.until(lambda: page.close_code is not None)
            assert "use pcm or opus" in page.messages[-1]["reason"]
        for bad in ("x" * 15, "x" * 20 + "\nERROR forged"):
            async with BrowserPage(f"{url}/open", call_id=bad) as page:
                await page.start()
                await page.until(lambda: page.close_code is not None)
                assert "use a UUID" in page.messages[-1]["reason"]
    assert len(calls) == 1


async def test_what_the_application_says_while_the_line_is_broken_is_told_on_the_next_one():
    broken: list[Any] = []
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            call.on(CallInterrupted, broken.append)
            page.break_off()
            await until(lambda: broken)
            for number in range(150):
                call.send_message(number)
            async with BrowserPage(url, call_id=page.call_id) as again:
                await again.start()
                await again.until(lambda: {"type": "message", "data": 149} in again.messages)
                numbers = [m["data"] for m in again.messages if m["type"] == "message"]
                assert numbers == list(range(50, 150))


async def test_what_cannot_be_read_of_a_page_is_passed_over(caplog: pytest.LogCaptureFixture):
    said: list[Any] = []
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            call.on(CallMessage, lambda event: said.append(event.data))
            deep, long = "[" * 7_000 + "]" * 7_000, "1" * 6_000
            for data in (deep, long, "1"):
                await page.socket.send(f'{{"type":"message","data":{data}}}')
            await until(lambda: 1 in said)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_page_that_stands_still_is_told_to_clear_though_its_sound_should_be_over():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            call.play(tone(0.1))
            await page.until(lambda: len(page.heard) == SECOND // 10)
            await asyncio.sleep(0.6)
            call.clear()
            await page.until(lambda: page.generation == 1)


async def test_an_app_is_told_of_a_page_whose_origin_may_not_call():
    problems: list[CallError] = []

    async def talk(websocket: Any) -> None:
        try:
            async with BrowserCall(websocket):
                raise AssertionError("the call was taken")
        except CallError as problem:
            problems.append(problem)

    refused: Any = "https://evil.example"
    async with served(Starlette(routes=[WebSocketRoute("/talk", talk)])) as port:
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{port}/talk", origin=refused, subprotocols=[SUBPROTOCOL])
        await until(lambda: problems)
    (problem,) = problems
    assert isinstance(problem, OriginError)
    assert "https://evil.example" in str(problem)


def test_the_usual_port_of_a_scheme_is_no_part_of_an_origin():
    from stapes.calls.origins import core_origins

    origins = core_origins(
        ["https://app.example.com:443"], "wss://voice.example.com:443", is_local=True
    )
    for origin in ("https://app.example.com", "https://voice.example.com"):
        assert origins.refusal("voice.example.com", origin) is None
    assert origins.refusal("voice.example.com", "https://app.example.com:444") is not None
