"""Transcription and translation against the development server, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI
from openai.lib.realtime_translation import AsyncTranslationSession
from openai.types import realtime as wire
from scripted import KEY
from tests.openai_types import validated
from websockets.asyncio.client import connect

from stapes import (
    Audio,
    Error,
    HandshakeError,
    InputCommitted,
    RealtimeTranscription,
    RealtimeTranslation,
    ReconnectPolicy,
    ServerError,
    SessionRestored,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TranscriptDelta,
    TranslationDelta,
)
from stapes.devserver import DevServer, ScriptedMind, ToneVoice
from stapes.transcription.urls import transcription_url, translation_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECONDS = 10.0
HEARS = ("hello there", "how are you")


async def spoken(text: str) -> bytes:
    """PCM at 24 kHz of somebody who speaks, between two silences."""
    speech = await ToneVoice().speak(text, voice="caller", speed=1.0)
    return bytes(48 * 400) + speech.pcm[: len(speech.pcm) // 48 * 48] + bytes(48 * 900)


@pytest.fixture
async def server(run: Callable[..., Awaitable[DevServer]]) -> DevServer:
    return await run(ScriptedMind(hears=HEARS))


async def test_turns_by_hand_are_transcribed(server: DevServer):
    url = transcription_url(server.url)
    session = RealtimeTranscription(api_key=KEY, language="en")
    seen: list[Any] = []
    session.on("*", seen.append)
    await session.connect(url=url)
    for text in HEARS:
        session.send_audio(await spoken(text))
        session.commit()
    await asyncio.wait_for(session.finish(), SECONDS)
    ends = [event for event in seen if type(event) is Transcript]
    assert [event.text for event in ends] == list(HEARS)
    assert [event.interrupted for event in ends] == [False, False]
    committed = [event.item_id for event in seen if type(event) is InputCommitted]
    assert committed == [event.item_id for event in ends]
    for end in ends:
        deltas = [e.delta for e in seen if type(e) is TranscriptDelta and e.item_id == end.item_id]
        assert "".join(deltas) == end.text
        assert end.usage is not None
        assert end.usage["type"] == "tokens"
    assert not [event for event in seen if type(event) is Error]
    call = await server.next_call()
    assert call.query == {"intent": "transcription"}


async def test_turns_that_the_server_detects_are_transcribed_with_logprobs(server: DevServer):
    session = RealtimeTranscription(
        api_key=KEY, model="gpt-transcribe", turn_detection={"type": "server_vad"}, logprobs=True
    )
    reader = session.events(SpeechStarted, SpeechStopped, InputCommitted, Transcript)
    await session.connect(url=transcription_url(server.url))
    found: list[Any] = []
    async with asyncio.timeout(SECONDS):
        for text in HEARS:
            session.send_audio(await spoken(text))
            found += [await anext(reader) for _ in range(4)]
    kinds = [type(event).__name__ for event in found]
    assert kinds == ["SpeechStarted", "SpeechStopped", "InputCommitted", "Transcript"] * 2
    assert len({event.item_id for event in found}) == 2
    assert [event.text for event in found if type(event) is Transcript] == list(HEARS)
    assert [entry["token"] for entry in found[3].logprobs] == ["hello", " there"]
    await session.close()


async def test_the_server_follows_the_types_of_the_provider(server: DevServer):
    url = transcription_url(server.url)
    headers = {"Authorization": f"Bearer {KEY}"}
    sent: list[dict[str, Any]] = [
        {
            "type": "session.update",
            "session": {
                "type": "transcription",
                "audio": {"input": {"transcription": {"model": "gpt-live-transcribe"}}},
                "include": ["item.input_audio_transcription.logprobs"],
            },
        },
        {
            "type": "input_audio_buffer.append",
            "audio": base64.b64encode(await spoken("hello")).decode(),
        },
        {"type": "input_audio_buffer.commit"},
    ]
    got: list[dict[str, Any]] = []
    async with asyncio.timeout(SECONDS), connect(url, additional_headers=headers) as socket:
        for event in sent:
            await socket.send(json.dumps(event))
        while not got or not got[-1]["type"].endswith(".completed"):
            got.append(json.loads(await socket.recv()))
            if got[-1]["type"].startswith("session."):
                validated(wire.RealtimeTranscriptionSessionCreateResponse, got[-1]["session"])
            else:
                validated(wire.RealtimeServerEvent, got[-1])
    assert [event["type"] for event in got[:2]] == ["session.created", "session.updated"]
    assert got[1]["session"]["audio"]["input"]["turn_detection"] is None
    assert [entry["token"] for entry in got[-1]["logprobs"]] == ["hello", " there"]


@pytest.mark.parametrize(
    ("event", "words_"),
    [
        ({"type": "response.create"}, "Invalid value: 'response.create'"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "transcription session"),
        (
            {
                "type": "session.update",
                "session": {
                    "type": "transcription",
                    "audio": {
                        "input": {
                            "transcription": {"model": "gpt-live-transcribe"},
                            "turn_detection": {"type": "server_vad"},
                        }
                    },
                },
            },
            "Turn detection is not supported",
        ),
        ({"type": "input_audio_buffer.commit"}, "buffer too small"),
    ],
)
async def test_the_server_refuses_what_the_provider_refuses(
    server: DevServer, event: dict[str, Any], words_: str
):
    session = RealtimeTranscription(api_key=KEY)
    errors: list[Error] = []
    session.on("error", errors.append)
    await session.connect(url=transcription_url(server.url))
    reader = session.events(Error)
    session.send_event(event)
    async with asyncio.timeout(SECONDS):
        error = (await anext(reader)).error
    assert isinstance(error, ServerError)
    assert words_ in str(error)
    await session.close()


async def test_a_connection_that_breaks_costs_no_words(server: DevServer):
    session = RealtimeTranscription(api_key=KEY, reconnect=ReconnectPolicy(base_delay=0.01))
    reader = session.events(Transcript, SessionRestored)
    await session.connect(url=transcription_url(server.url))
    session.send_audio(await spoken("hello"))
    call = await server.next_call()
    await call.received.wait_for("input_audio_buffer.append")
    call.abort()
    async with asyncio.timeout(SECONDS):
        assert isinstance(await anext(reader), SessionRestored)
        session.finish()
        transcript = await anext(reader)
    assert isinstance(transcript, Transcript)
    assert (transcript.text, transcript.interrupted) == (HEARS[0], False)
    again = await server.next_call()
    assert len(again.received.of("input_audio_buffer.append")) > 0
    await session.close()


async def test_speech_is_translated_into_sound_and_words(server: DevServer):
    session = RealtimeTranslation(
        "es", api_key=KEY, transcription_model="gpt-realtime-whisper", output_sample_rate=8000
    )
    seen: list[Any] = []
    session.on("*", seen.append)
    await session.connect(url=translation_url(f"{server.url}?model={session.model}"))
    for text in HEARS:
        session.send_audio(await spoken(text))
    await asyncio.wait_for(session.finish(), SECONDS)
    said = {"user": "", "assistant": ""}
    for event in seen:
        if type(event) is TranslationDelta:
            said[event.role] += event.delta
            assert event.elapsed_ms is not None
            assert event.elapsed_ms % 200 == 0
    assert said["user"] == "".join(HEARS)
    assert said["assistant"] == "".join(f"(es) {text} " for text in HEARS)
    assert sum(len(event.data) for event in seen if type(event) is Audio) > 8000
    assert not [event for event in seen if type(event) is Error]


async def test_openais_own_client_is_translated_for(server: DevServer):
    client = AsyncOpenAI(api_key=KEY, base_url=server.http_url)
    resource = client.realtime.translations
    got: list[Any] = []
    async with (
        asyncio.timeout(SECONDS),
        AsyncTranslationSession(resource, model="gpt-realtime-translate") as connection,
    ):
        update = {"type": "session.update", "session": {"audio": {"output": {"language": "de"}}}}
        await connection.send(update)  # type: ignore[arg-type]
        audio = base64.b64encode(await spoken("hello")).decode()
        await connection.send({"type": "session.input_audio_buffer.append", "audio": audio})
        await connection.send({"type": "session.close"})
        while not got or got[-1].type != "session.closed":
            got.append(await connection.recv())
            validated(wire.RealtimeTranslationServerEvent, got[-1].to_dict())
    said = [event.delta for event in got if event.type == "session.output_transcript.delta"]
    assert "".join(said) == f"(de) {HEARS[0]} "
    assert [event for event in got if event.type == "session.output_audio.delta"]
    assert got[1].session.audio.output.language == "de"


async def test_a_translation_of_no_model_is_refused(server: DevServer):
    session = RealtimeTranslation("es", api_key=KEY)
    with pytest.raises(HandshakeError, match="model parameter"):
        await session.connect(url=translation_url(server.url))
