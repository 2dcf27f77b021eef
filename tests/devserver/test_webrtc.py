"""Calls over WebRTC, with aiortc at the other end as well."""

from __future__ import annotations

import asyncio
import json
import threading

import numpy as np
import pytest
from openai import AsyncOpenAI
from peer_client import RATE, PeerClient, post, ring

from stapes.devserver import Call, DevServer, ScriptedMind, ToneVoice, Turn

SENTENCE = "It is sunny in Paris."
GARBAGE = {
    "nothing": b"",
    "no sdp": b"hello",
    "not text": b"\xff\xfe",
    "half": b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS",
    "no sections": b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
}


def sdp_url(server: DevServer) -> str:
    return f"{server.http_url}/realtime/calls"


async def spoken(text: str) -> bytes:
    return (await ToneVoice().speak(text, voice="caller", speed=1.2)).pcm


def user(text: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


@pytest.fixture
def dialled(run, stack):
    """Start a server and ring it; the call ends with the test."""

    async def start(mind=None, **options) -> PeerClient:
        client = await ring(await run(mind, **options))
        stack.push_async_callback(client.close)
        return client

    return start


async def test_a_whole_conversation(dialled):
    """A spoken question, a tool, a spoken answer: paced, and as loud as it was."""
    mind = ScriptedMind(
        [
            Turn(when="weather", call=Call("weather", {"city": "Paris"})),
            Turn(after="weather", say="{output}"),
        ],
        hears=["what is the weather"],
    )
    client = await dialled(mind)
    client.mouth.say(await spoken("What is the weather in Paris"))
    await client.until("input_audio_buffer.speech_started")
    await client.until("input_audio_buffer.speech_stopped")
    call = (await client.until("response.function_call_arguments.done"))["call_id"]
    await client.until("response.done")
    output = {"type": "function_call_output", "call_id": call, "output": SENTENCE}
    client.send("conversation.item.create", item=output)
    client.send("response.create")
    created = await client.until("response.created")
    started = await client.until("output_audio_buffer.started")
    began, heard = asyncio.get_running_loop().time(), len(client.ear.samples)
    stopped = await client.until("output_audio_buffer.stopped")
    lasted = asyncio.get_running_loop().time() - began
    assert started["response_id"] == stopped["response_id"] == created["response"]["id"]
    assert client.types.index("response.done") < client.types.index("output_audio_buffer.stopped")
    said = np.frombuffer(await spoken_by_server(SENTENCE), dtype="<i2")
    assert abs(lasted - len(said) / RATE) < 0.3
    assert "response.output_audio.delta" not in client.types
    await asyncio.sleep(0.3)
    assert similarity(said, client.ear.samples[heard - RATE // 2 :]) > 0.9


async def spoken_by_server(text: str) -> bytes:
    return (await ToneVoice().speak(text, voice="marin", speed=1.0)).pcm


def similarity(sent: np.ndarray, received: np.ndarray) -> float:
    """Correlation of what was sent with the part of what was received that is most like it."""
    sent, received = sent.astype(float), received.astype(float)
    size = len(sent) + len(received)
    lags = np.fft.irfft(np.fft.rfft(received, size) * np.conj(np.fft.rfft(sent, size)), size)
    at = int(np.argmax(lags[: max(1, len(received) - len(sent))]))
    part = received[at : at + len(sent)]
    return float(np.dot(sent, part) / (np.linalg.norm(sent) * np.linalg.norm(part)))


@pytest.mark.real_time
async def test_speaking_over_an_answer_cuts_it_where_it_was_played(dialled):
    client = await dialled(ScriptedMind([Turn(say="One two three four five six seven.")]))
    client.send("response.create")
    await client.until("output_audio_buffer.started")
    began = asyncio.get_running_loop().time()
    client.mouth.say(await spoken("Wait a moment"))
    await client.until("input_audio_buffer.speech_started")
    after_ms = 1000 * (asyncio.get_running_loop().time() - began)
    cut = await client.until("conversation.item.truncated")
    await client.until("output_audio_buffer.cleared")
    assert abs(cut["audio_end_ms"] - after_ms) < 60
    # The caller hears no more of it than what was on its way.
    await asyncio.sleep(0.3)
    heard = len(client.ear.samples)
    await asyncio.sleep(0.2)
    assert np.abs(client.ear.samples[heard:]).max() < 100


async def test_the_client_can_clear_what_is_played(dialled):
    client = await dialled(ScriptedMind([Turn(say="One two three four five six seven.")]))
    client.send("response.create")
    started = await client.until("output_audio_buffer.started")
    client.send("response.cancel")
    client.send("output_audio_buffer.clear")
    cut = await client.until("conversation.item.truncated")
    cleared = await client.until("output_audio_buffer.cleared")
    assert cut["audio_end_ms"] < 500
    assert cleared["response_id"] == started["response_id"]


async def test_a_caller_who_falls_silent_without_a_packet_has_said_something(run, stack):
    """A muted client sends nothing at all: the turn ends nevertheless."""
    server = await run(ScriptedMind([Turn(say="Hi.")], hears=["hello"]))
    client = await ring(server)
    stack.push_async_callback(client.close)
    client.mouth.say(await spoken("Hello hello"))
    await client.until("input_audio_buffer.speech_started")
    await asyncio.sleep(0.3)
    client.connection.getSenders()[0].replaceTrack(None)
    await client.until("input_audio_buffer.speech_stopped")
    await client.until("output_audio_buffer.started")


async def test_the_provider_s_own_client_opens_calls_and_ends_them(run, stack):
    server = await run(ScriptedMind(), api_keys=frozenset({"right"}))
    openai = AsyncOpenAI(api_key="right", base_url=server.http_url)
    stack.push_async_callback(openai.close)
    client = PeerClient()
    stack.push_async_callback(client.close)
    session = {"type": "realtime", "model": "gpt-realtime-2.1-mini", "instructions": "Be brief."}
    answer = await openai.realtime.calls.create(sdp=await client.offer(), session=session)
    assert answer.response.status_code == 201
    location = answer.response.headers["location"]
    assert location.startswith("/v1/realtime/calls/rtc_")
    await client.accept(answer.text)
    created = await client.until("session.created")
    assert created["session"]["instructions"] == "Be brief."
    assert created["session"]["model"] == "gpt-realtime-2.1-mini"
    await openai.realtime.calls.hangup(location.rpartition("/")[2])
    await server.calls[0].wait_closed()
    async with asyncio.timeout(5):
        await client.closed.wait()
    status, _, body = await post(f"{server.http_url}/realtime/calls/rtc_1/hangup", b"", "", "right")
    assert (status, json.loads(body)["error"]["code"]) == (404, "call_id_not_found")


async def test_an_ephemeral_key_opens_sessions_with_its_settings(run, stack):
    server = await run(ScriptedMind(), api_keys=frozenset({"right"}))
    openai = AsyncOpenAI(api_key="right", base_url=server.http_url)
    stack.push_async_callback(openai.close)
    secret = await openai.realtime.client_secrets.create(
        session={"type": "realtime", "instructions": "Be brief."},
        expires_after={"anchor": "created_at", "seconds": 10},
    )
    assert secret.value.startswith("ek_")
    assert secret.session.instructions == "Be brief."
    client = await ring(server, key=secret.value)
    stack.push_async_callback(client.close)
    assert client.events[0]["session"]["instructions"] == "Be brief."
    assert "ek_" not in json.dumps(server.calls[0].headers)
    status, _, body = await post(
        f"{server.http_url}/realtime/client_secrets", b"{}", "application/json", secret.value
    )
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")


async def test_an_ephemeral_key_expires():
    from stapes.devserver.web.secrets import ClientSecrets

    now = 1_000.0
    secrets = ClientSecrets(lambda: now)
    key, expires_at = secrets.issue(60, {"type": "realtime"})
    assert secrets.settings_of(key) == {"type": "realtime"}
    now = float(expires_at)
    assert secrets.settings_of(key) is None
    assert secrets.has_expired(key)
    assert secrets.settings_of("ek_other") is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'{"expires_after": {"anchor": "created_at", "seconds": 9}}', "integer_below_min_value"),
        (b'{"session": {"type": "transcription"}}', "invalid_value"),
    ],
)
async def test_a_wrong_request_for_a_key_is_refused(run, body, code):
    server = await run(ScriptedMind())
    status, _, answer = await post(
        f"{server.http_url}/realtime/client_secrets", body, "application/json"
    )
    assert (status, json.loads(answer)["error"]["code"]) == (400, code)


@pytest.mark.parametrize("offer", GARBAGE.values(), ids=GARBAGE.keys())
async def test_an_offer_that_is_none_is_refused(run, offer):
    server = await run(ScriptedMind())
    status, _, body = await post(sdp_url(server), offer, "application/sdp")
    error = json.loads(body)["error"]
    assert status == 400
    assert error["type"] == "invalid_request_error"
    assert error["code"] == ("invalid_value" if offer[:1] == b"\xff" else "invalid_offer")
    assert server.calls == []


@pytest.mark.parametrize("section", ["audio", "application"])
async def test_an_offer_without_sound_or_events_is_refused(run, stack, section):
    server = await run(ScriptedMind())
    client = PeerClient()
    stack.push_async_callback(client.close)
    head, *sections = (await client.offer()).split("m=")
    kept = [each for each in sections if not each.startswith(section)]
    status, _, body = await post(
        sdp_url(server), "m=".join([head, *kept]).encode(), "application/sdp"
    )
    assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_offer")


@pytest.mark.parametrize(
    ("key", "options", "kind", "status", "code"),
    [
        (None, {}, "application/sdp", 401, None),
        ("wrong", {"api_keys": frozenset({"right"})}, "application/sdp", 401, "invalid_api_key"),
        ("any", {"default_model": None}, "application/sdp", 400, "missing_model"),
        ("any", {}, "text/plain", 400, "unsupported_content_type"),
    ],
)
async def test_a_call_is_refused_as_a_connection_is(run, key, options, kind, status, code):
    server = await run(ScriptedMind(), **options)
    answered, _, body = await post(sdp_url(server), b"v=0", kind, key)
    assert (answered, json.loads(body)["error"]["code"]) == (status, code)


async def test_a_server_that_holds_all_calls_it_may_refuses_another(run, stack):
    server = await run(ScriptedMind(), max_calls=1)
    client = await ring(server)
    stack.push_async_callback(client.close)
    status, _, body = await post(sdp_url(server), b"v=0", "application/sdp")
    assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_without_aiortc_the_server_says_what_to_install(run, monkeypatch):
    import sys

    server = await run(ScriptedMind())
    for name in [name for name in sys.modules if name.startswith("stapes.devserver.webrtc")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiortc", None)
    status, _, body = await post(sdp_url(server), b"v=0", "application/sdp")
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (501, "webrtc_not_installed")
    assert "pip install 'stapes[demo]'" in error["message"]


async def test_an_event_that_the_channel_cannot_take_is_an_error(run, stack):
    server = await run(ScriptedMind())
    client = await ring(server)
    stack.push_async_callback(client.close)
    server.calls[0].emit("session.updated", session={"instructions": "a" * 300_000})
    error = (await client.until("error"))["error"]
    assert error["code"] == "event_too_large"
    client.send("conversation.item.create", item=user("Still there?"))
    await client.until("conversation.item.done")


async def test_a_peer_that_never_comes_is_given_up(run, stack):
    server = await run(ScriptedMind(), connect_seconds=0.2)
    client = PeerClient()
    stack.push_async_callback(client.close)
    status, _, _ = await post(sdp_url(server), (await client.offer()).encode(), "application/sdp")
    assert status == 201
    await server.calls[0].wait_closed()


async def test_a_call_leaves_nothing_behind(run):
    server = await run(ScriptedMind([Turn(say=SENTENCE)]))
    before, threads = asyncio.all_tasks(), set(threading.enumerate())
    for end in ("client", "server", "abort"):
        client = await ring(server)
        served = server.calls[-1]
        client.send("response.create")
        await client.until("output_audio_buffer.started")
        match end:
            case "server":
                await served.close()
            case "abort":
                served.abort()
        await client.close()
        await served.wait_closed()
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before or decoders() - threads:
            await asyncio.sleep(0.01)


def decoders() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.endswith("-decoder")}


async def test_an_offer_can_be_answered_by_what_a_test_wants(run):
    server = await run(ScriptedMind())
    server.refuse_next(503, {"error": {"message": "Come back later."}})
    status, _, body = await post(sdp_url(server), b"v=0", "application/sdp")
    assert (status, json.loads(body)) == (503, {"error": {"message": "Come back later."}})
