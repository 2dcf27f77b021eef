"""`RealtimeTranscription`: what it sends, what it tells, and how it survives its connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import UserError
from openai.types import realtime as wire
from scripted import KEY, SAID, sound
from tests.openai_types import validated

from stapes import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    ConsumerTooSlow,
    Error,
    InputCommitted,
    NotConnectedError,
    RealtimeTranscription,
    ReconnectPolicy,
    ServerError,
    SessionRestored,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TranscriptDelta,
    TranscriptionFailed,
    TranscriptSegment,
    WebSocketTransport,
    events,
)
from stapes.providers import AzureOpenAI
from stapes.testing import ScriptedServer
from stapes.transcription.urls import transcription_url

if TYPE_CHECKING:
    from scripted import Scripted, Scripts

GAP = ReconnectPolicy(first_delay=5)
"""The connection is away until the clock has moved by 5 seconds."""


def committed(item: str, previous: str | None = None) -> dict[str, Any]:
    return {
        "type": "input_audio_buffer.committed",
        "item_id": item,
        "previous_item_id": previous,
    }


def delta(item: str, words: str) -> dict[str, Any]:
    return {"type": f"{SAID}.delta", "item_id": item, "content_index": 0, "delta": words}


def completed(item: str, words: str, **fields: Any) -> dict[str, Any]:
    told = {"type": f"{SAID}.completed", "item_id": item, "content_index": 0, "transcript": words}
    return {**told, **fields}


# Configuration


async def test_the_configuration_is_sent_as_the_provider_types_it(scripts: Scripts):
    made = await scripts.transcribe(
        model="gpt-transcribe",
        language="en",
        languages=["en", "de"],
        prompt="A call about ears.",
        keywords=["stapes"],
        turn_detection={"type": "server_vad", "silence_duration_ms": 300},
        noise_reduction={"type": "near_field", "strength": 0.5},
        logprobs=True,
    )
    (update,) = made.told()
    session = validated(wire.RealtimeClientEvent, update).session
    assert type(session).__name__ == "RealtimeTranscriptionSessionCreateRequest"
    assert update["session"] == {
        "type": "transcription",
        "include": ["item.input_audio_transcription.logprobs"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "noise_reduction": {"type": "near_field", "strength": 0.5},
                "transcription": {
                    "model": "gpt-transcribe",
                    "language": "en",
                    "languages": ["en", "de"],
                    "prompt": "A call about ears.",
                    "keywords": ["stapes"],
                },
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
            }
        },
    }


async def test_by_default_the_provider_is_told_to_detect_no_turns(scripts: Scripts):
    made = await scripts.transcribe()
    (update,) = made.told()
    heard = update["session"]["audio"]["input"]
    assert heard["turn_detection"] is None
    assert heard["transcription"] == {"model": "gpt-live-transcribe"}
    assert "include" not in update["session"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"turn_detection": {"type": "server_vad"}}, ValueError, "turn_detection.*commit"),
        (
            {"model": "gpt-realtime-whisper", "turn_detection": {"type": "server_vad"}},
            ValueError,
            "gpt-realtime-whisper",
        ),
        ({"model": "gpt-realtime-whisper", "prompt": "x"}, ValueError, "prompt"),
        ({"model": "gpt-realtime-whisper", "keywords": ["x"]}, ValueError, "keywords"),
        ({"model": "gpt-transcribe", "delay": "low"}, ValueError, "delay"),
        ({"keywords": "stapes"}, TypeError, "list"),
        (
            {
                "model": "other",
                "turn_detection": {"type": "semantic_vad", "idle_timeout_ms": 5000},
            },
            ValueError,
            "idle_timeout_ms",
        ),
        ({"audio_format": "mp3"}, ValueError, "audio_format"),
        ({"model": ""}, ValueError, "model"),
        ({"transport": "webrtc"}, TypeError, "WebSocketTransport"),
        ({"provider": "nobody"}, ValueError, "provider"),
        ({"provider": 5}, TypeError, "provider"),
        ({"reconnect": 5}, TypeError, "reconnect"),
        ({"max_queued_events": 0}, ValueError, "max_queued_events"),
    ],
)
async def test_an_option_that_cannot_be_is_refused_by_name(options: Any, error: Any, words: str):
    with pytest.raises(error, match=words):
        RealtimeTranscription(**options)


async def test_a_model_that_is_not_known_is_asked_for_anything(scripts: Scripts):
    made = await scripts.transcribe(
        model="whisper-large", delay="low", keywords=["x"], turn_detection={"type": "server_vad"}
    )
    (update,) = made.told()
    heard = update["session"]["audio"]["input"]
    assert heard["transcription"] == {"model": "whisper-large", "delay": "low", "keywords": ["x"]}


@pytest.mark.parametrize(
    ("conversations", "expected"),
    [
        (
            "wss://api.openai.com/v1/realtime?model=m",
            "wss://api.openai.com/v1/realtime?intent=transcription",
        ),
        ("wss://h/v1/realtime?a=b%20c&model=m", "wss://h/v1/realtime?a=b%20c&intent=transcription"),
        ("ws://h:1/v1/realtime", "ws://h:1/v1/realtime?intent=transcription"),
    ],
)
def test_a_transcription_names_no_model_in_its_url(conversations: str, expected: str):
    assert transcription_url(conversations) == expected


async def test_the_providers_profile_says_where_and_how_to_authenticate(
    monkeypatch: pytest.MonkeyPatch,
):
    async with ScriptedServer() as server:
        azure = AzureOpenAI(resource="contoso", deployment="d")
        monkeypatch.setattr(
            AzureOpenAI,
            "url",
            lambda self, model, **_: f"ws://127.0.0.1:{server.port}/v1/x?model=d",
        )
        session = RealtimeTranscription(provider=azure, api_key=KEY)
        async with session:
            pass
        (handshake,) = server.handshakes
    assert handshake.path == "/v1/x?intent=transcription"
    assert handshake.headers["api-key"] == KEY
    assert handshake.headers["user-agent"].startswith("stapes/")


async def test_a_session_without_a_key_says_so(scripts: Scripts):
    made = await scripts.transcribe(api_key=None, connect=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        await made.session.connect(url="ws://127.0.0.1:1")


# Words


async def test_the_words_of_an_item_come_as_deltas_and_whole(scripts: Scripts):
    made = await scripts.transcribe()
    await made.says(delta("a", "Hel"), delta("a", "lo."), committed("a"))
    await made.says(
        completed(
            "a",
            "Hello.",
            usage={"type": "duration", "seconds": 1.5},
            logprobs=[{"token": "Hello", "bytes": [72], "logprob": -0.1}],
            languages=["en"],
        )
    )
    told = [event for event in made.events if type(event) is not events.ConnectionChanged]
    assert told == [
        TranscriptDelta("user", "Hel", "a"),
        TranscriptDelta("user", "lo.", "a"),
        InputCommitted("a", None),
        Transcript(
            "a",
            "Hello.",
            logprobs=({"token": "Hello", "bytes": [72], "logprob": -0.1},),
            languages=("en",),
            usage={"type": "duration", "seconds": 1.5},
        ),
    ]


async def test_turns_that_the_provider_detects_are_events(scripts: Scripts):
    made = await scripts.transcribe(model="gpt-transcribe", turn_detection={"type": "server_vad"})
    await made.says(
        {"type": "input_audio_buffer.speech_started", "item_id": "a", "audio_start_ms": 200},
        {"type": "input_audio_buffer.speech_stopped", "item_id": "a", "audio_end_ms": "900"},
        committed("a", "before"),
    )
    assert made.seen(SpeechStarted) == [SpeechStarted("a", 200)]
    assert made.seen(SpeechStopped) == [SpeechStopped("a", 900)]
    assert made.seen(InputCommitted) == [InputCommitted("a", "before")]


async def test_speakers_that_are_told_apart_are_events(scripts: Scripts):
    made = await scripts.transcribe()
    segment = {"id": "s", "item_id": "a", "content_index": 0, "text": "Hi.", "speaker": "A"}
    await made.says({"type": f"{SAID}.segment", "start": 0.5, "end": 1, **segment})
    assert made.seen(TranscriptSegment) == [TranscriptSegment("a", 0, "Hi.", "A", 0.5, 1.0)]


async def test_a_transcription_that_failed_is_the_end_of_its_item(scripts: Scripts):
    made = await scripts.transcribe()
    error = {"code": "audio_unintelligible", "message": "Noise."}
    await made.says(committed("a"), {"type": f"{SAID}.failed", "item_id": "a", "error": error})
    (failed,) = made.seen(TranscriptionFailed)
    assert (failed.item_id, failed.message, failed.code) == ("a", "Noise.", "audio_unintelligible")
    (told,) = made.seen(Error)
    assert isinstance(told.error, ServerError)


@pytest.mark.parametrize(
    "event",
    [
        {"type": f"{SAID}.completed", "transcript": "x"},
        {"type": f"{SAID}.completed", "item_id": "a"},
        {"type": f"{SAID}.delta", "item_id": "a"},
        {"type": f"{SAID}.segment", "item_id": "a"},
        {"type": "input_audio_buffer.committed"},
        {"type": "response.output_audio.delta", "response_id": "r", "delta": "AAAA"},
        {"type": "error", "error": {"code": "c", "message": "No."}},
    ],
    ids=lambda event: f"{event['type']} {len(event)}",
)
async def test_what_has_no_effect_is_an_error(scripts: Scripts, event: dict[str, Any]):
    made = await scripts.transcribe()
    await made.says(event)
    assert len(made.seen(Error)) == 1
    assert made.session.status == "connected"


async def test_the_session_asks_for_no_answer_and_sets_no_tracing(scripts: Scripts):
    made = await scripts.transcribe(model="gpt-transcribe", turn_detection={"type": "server_vad"})
    await made.says(
        {"type": "session.created", "session": {"type": "transcription", "id": "s"}},
        {"type": "input_audio_buffer.speech_started", "item_id": "a"},
        {"type": "input_audio_buffer.speech_stopped", "item_id": "a"},
        committed("a"),
        {"type": "conversation.item.added", "item": {"id": "a", "type": "message"}},
        completed("a", "Hello."),
    )
    assert [message["type"] for message in made.told()] == ["session.update"]


# Sound


@pytest.mark.parametrize(
    ("audio_format", "rate", "given", "length"),
    [
        ("pcm16", None, sound(100), 4800),
        ("pcm16", 8000, bytes(1600), 4800),
        ("g711_ulaw", None, bytes(800), 800),
        ("g711_ulaw", 16_000, bytes(3200), 800),
    ],
)
async def test_sound_of_any_rate_comes_in_the_format_of_the_wire(
    scripts: Scripts, audio_format: Any, rate: int | None, given: bytes, length: int
):
    made = await scripts.transcribe(audio_format=audio_format)
    await made.session.send_audio(given, sample_rate=rate, commit=True)
    await made.settle()
    assert len(made.heard()) == length
    assert len(made.sent("input_audio_buffer.commit")) == 1
    for message in made.told():
        validated(wire.RealtimeClientEvent, message)


async def test_sound_from_before_the_connection_is_sent_first(scripts: Scripts):
    made = await scripts.transcribe(connect=False)
    connecting = asyncio.ensure_future(made.session.connect(url=made.server.url))
    while made.session.status == "disconnected":
        await asyncio.sleep(0)
    if made.session.status == "connecting":
        made.session.send_audio(sound(50, 1))
    await connecting
    made.session.send_audio(sound(50, 2))
    await made.settle()
    assert made.heard().endswith(sound(50, 2))


async def test_sound_without_a_connection_is_refused(scripts: Scripts):
    made = await scripts.transcribe(connect=False)
    with pytest.raises(NotConnectedError):
        await made.session.send_audio(sound(10))


async def test_what_is_no_item_yet_can_be_dropped(scripts: Scripts):
    made = await scripts.transcribe()
    assert isinstance(made.session, RealtimeTranscription)
    await made.session.send_audio(sound(10))
    await made.session.clear()
    await made.settle()
    kinds = [message["type"] for message in made.told()]
    assert kinds[1:] == ["input_audio_buffer.append", "input_audio_buffer.clear"]


# The end


async def test_finishing_commits_what_is_left_and_waits_for_its_transcript(scripts: Scripts):
    made = await scripts.transcribe()
    reader = made.session.events(Transcript)
    await made.session.send_audio(sound(500))
    finished = made.session.finish()
    await made.settle()
    assert len(made.sent("input_audio_buffer.commit")) == 1
    await made.says(committed("a"), completed("a", "Hello."))
    await finished
    assert made.session.status == "disconnected"
    assert [event async for event in reader] == [Transcript("a", "Hello.")]
    assert made.seen(Error) == []


async def test_finishing_waits_for_every_item(scripts: Scripts):
    made = await scripts.transcribe()
    await made.session.send_audio(sound(100), commit=True)  # type: ignore[call-arg]
    await made.session.send_audio(sound(100), commit=True)  # type: ignore[call-arg]
    made.session.finish()
    await made.says(committed("a"), completed("a", "One."))
    assert made.session.status == "connected"
    await made.says(committed("b"), {"type": f"{SAID}.failed", "item_id": "b"})
    assert made.session.status == "disconnected"


async def test_finishing_with_nothing_to_transcribe_ends_at_once(scripts: Scripts):
    made = await scripts.transcribe()
    await made.session.finish()
    await made.settle()
    assert made.session.status == "disconnected"
    assert made.sent("input_audio_buffer.commit") == []


async def test_a_commit_of_too_little_sound_does_not_keep_the_session(scripts: Scripts):
    made = await scripts.transcribe()
    await made.session.send_audio(sound(10))
    made.session.finish()
    error = {"code": "input_audio_buffer_commit_empty", "message": "Too little."}
    await made.says({"type": "error", "error": error})
    assert made.session.status == "disconnected"
    assert len(made.seen(Error)) == 1


async def test_finishing_does_not_wait_for_ever(scripts: Scripts):
    made = await scripts.transcribe()
    await made.session.send_audio(sound(100))
    with pytest.raises(TimeoutError, match="timeout"):
        await made.session.finish(timeout=0.01)
    assert made.session.status == "disconnected"
    with pytest.raises(ValueError, match="timeout"):
        made.session.finish(timeout=0)


HEARING = "conversation.item.input_audio_transcription"
KINDS_OF_WORDS = [
    [delta("a", "H"), delta("a", "el")],
    [{"type": f"{HEARING}.updated", "item_id": "a", "transcript": it} for it in ("H", "Hel")],
    # What the server may still revise is told apart from what it will not.
    [{"type": f"{HEARING}.delta", "item_id": "a", "text": "H", "stash": it} for it in ("", "el")],
]


@pytest.mark.parametrize("words", KINDS_OF_WORDS)
async def test_a_connection_that_is_lost_for_good_ends_items_and_fails_the_finish(
    scripts: Scripts, words: list[dict[str, Any]]
):
    made = await scripts.transcribe()
    await made.session.send_audio(sound(100))
    finished = made.session.finish()
    await made.says(*words, committed("a"))
    made.server.terminate()
    with pytest.raises(ConnectionLostError):
        await finished
    await made.settle()
    assert made.seen(Transcript) == [Transcript("a", "Hel", interrupted=True)]


async def test_a_server_that_refuses_the_key_fails_the_connection(scripts: Scripts):
    made = await scripts.transcribe(connect=False)
    made.server.refuse(401)
    with pytest.raises(AuthenticationError):
        await made.session.connect(url=made.server.url)
    made.server.refuse(None)
    await made.session.connect(url=made.server.url)
    assert made.session.status == "connected"


# Survival


async def returns(made: Scripted) -> None:
    await made.after(5)
    assert made.session.status == "connected"


async def test_sound_that_no_item_holds_is_sent_again(scripts: Scripts):
    made = await scripts.transcribe(reconnect=GAP, language="en")
    await made.session.send_audio(sound(400, 1))
    await made.says(delta("a", "Hel"))
    await made.loses()
    assert made.seen(Transcript) == [Transcript("a", "Hel", interrupted=True)]
    await made.session.send_audio(sound(200, 2))
    await returns(made)
    assert made.heard() == sound(400, 1) + sound(200, 2)
    first = made.told()[0]
    assert first["session"]["audio"]["input"]["transcription"]["language"] == "en"
    (restored,) = made.seen(SessionRestored)
    assert (restored.reason, restored.gap) == ("lost", 5.0)
    await made.says(delta("b", "Hello"), committed("b"), completed("b", "Hello."))
    assert made.seen(Transcript)[1:] == [Transcript("b", "Hello.")]
    assert made.seen(Error) == []


async def test_items_without_a_transcript_are_sent_and_committed_again(scripts: Scripts):
    made = await scripts.transcribe(reconnect=GAP)
    for value, item in ((1, "a"), (2, "b")):
        await made.session.send_audio(sound(300, value), commit=True)  # type: ignore[call-arg]
        await made.says(committed(item))
    await made.says(completed("a", "One."))
    await made.session.send_audio(sound(100, 3))
    await made.loses()
    await returns(made)
    kinds = [message["type"].removeprefix("input_audio_buffer.") for message in made.told()]
    assert kinds == ["session.update", "append", "commit", "append"]
    assert made.heard() == sound(300, 2) + sound(100, 3)
    assert made.seen(Transcript) == [
        Transcript("a", "One."),
        Transcript("b", "", interrupted=True),
    ]
    # A second loss before the server has said anything changes nothing.
    await made.loses()
    await returns(made)
    assert made.heard() == sound(300, 2) + sound(100, 3)
    await made.says(committed("c"), completed("c", "Two."))
    await made.loses()
    await returns(made)
    assert made.heard() == sound(100, 3)


async def test_items_that_the_provider_detected_are_sent_again_with_a_pause(scripts: Scripts):
    made = await scripts.transcribe(
        model="gpt-transcribe", turn_detection={"type": "server_vad"}, reconnect=GAP
    )
    await made.session.send_audio(sound(500, 1))
    await made.says(
        {"type": "input_audio_buffer.speech_started", "item_id": "a", "audio_start_ms": 0},
        {"type": "input_audio_buffer.speech_stopped", "item_id": "a", "audio_end_ms": 500},
        committed("a"),
    )
    await made.loses()
    await returns(made)
    assert made.heard() == sound(500, 1) + sound(1000, 0)
    assert made.sent("input_audio_buffer.commit") == []
    assert made.sent("response.create") == []


async def test_a_session_that_was_to_end_ends_after_a_loss(scripts: Scripts):
    made = await scripts.transcribe(reconnect=GAP)
    await made.session.send_audio(sound(500, 1))
    finished = made.session.finish()
    await made.settle()
    await made.loses()
    await returns(made)
    assert made.heard() == sound(500, 1)
    assert len(made.sent("input_audio_buffer.commit")) == 1
    await made.says(committed("b"), completed("b", "Hello."))
    await finished
    assert made.session.status == "disconnected"


async def test_a_goodbye_between_two_items_is_no_loss(scripts: Scripts):
    made = await scripts.transcribe(reconnect=GAP)
    await made.session.send_audio(sound(100), commit=True)  # type: ignore[call-arg]
    await made.says(committed("a"), completed("a", "Hello."))
    await made.server.close(1000)
    await made.settle()
    assert made.session.status == "disconnected"


async def test_a_close_while_words_are_due_is_a_loss(scripts: Scripts):
    made = await scripts.transcribe(reconnect=GAP)
    await made.session.send_audio(sound(100))
    await made.settle()
    await made.server.close(1000)
    await made.settle()
    assert made.session.status == "reconnecting"


async def until(true: Any) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


async def test_a_connection_is_rolled_over_when_no_words_are_due(scripts: Scripts):
    policy = ReconnectPolicy(max_session_duration=60, rollover_margin=10)
    made = await scripts.transcribe(reconnect=policy)
    await made.session.send_audio(sound(100, 1), commit=True)  # type: ignore[call-arg]
    await made.says(committed("a"), delta("a", "Hel"))
    first, before = made.server.current(), len(made.server.received)
    made.clock.advance(52)
    await until(lambda: len(made.server.received) > before)
    assert [message["type"] for message in made.server.received[before:]] == ["session.update"]
    assert made.seen(SessionRestored) == []
    await first.send(completed("a", "Hello."))
    await until(lambda: made.seen(SessionRestored))
    (restored,) = made.seen(SessionRestored)
    assert (restored.reason, restored.gap) == ("rollover", 0.0)
    await made.says(delta("b", "Bye"))
    assert made.seen(Transcript) == [Transcript("a", "Hello.")]
    assert made.session.stats().rollovers == 1


# Bounds


async def test_a_reader_that_does_not_read_is_bounded(scripts: Scripts):
    made = await scripts.transcribe(max_queued_events=20)
    reader = made.session.events()
    for n in range(60):
        await made.server.send(committed(f"i{n}"))
    await made.settle()
    with pytest.raises(ConsumerTooSlow):
        async for _ in reader:
            pass
    assert made.session.status == "disconnected"


async def test_deltas_that_nobody_reads_are_merged(scripts: Scripts):
    made = await scripts.transcribe(max_queued_events=20)
    reader = made.session.events(TranscriptDelta)
    for n in range(60):
        await made.server.send(delta("a", f"{n} "))
    await made.settle()
    await made.session.close()
    words = "".join([event.delta async for event in reader])
    assert words == "".join(f"{n} " for n in range(60))


async def test_only_what_is_read_is_made(scripts: Scripts):
    made = await scripts.transcribe()
    with pytest.raises(TypeError, match="no class of an event"):
        made.session.events(events.AgentEnd)
    with pytest.raises(ValueError, match="agent_end"):
        made.session.on("agent_end", print)
    raw: list[Any] = []
    made.session.on("transport_event", raw.append)
    await made.says(committed("a"))
    assert [event.event["type"] for event in raw] == ["input_audio_buffer.committed"]


async def test_a_transport_has_a_url_and_headers_of_its_own():
    async with ScriptedServer() as server:
        transport = WebSocketTransport(
            url=server.url, headers={"Authorization": "Bearer mine", "x-a": "1"}
        )
        async with RealtimeTranscription(transport=transport) as session:
            assert repr(session) == (
                "<RealtimeTranscription connected, model 'gpt-live-transcribe'>"
            )
        (handshake,) = server.handshakes
    assert handshake.authorization == "Bearer mine"
    assert handshake.headers["x-a"] == "1"


def test_it_needs_a_loop():
    with pytest.raises(RuntimeError, match="running event loop"):
        RealtimeTranscription(api_key=KEY)


async def test_half_a_surrogate_pair_in_a_header_is_refused_without_showing_it():
    session = RealtimeTranscription(api_key="secret-key")
    with pytest.raises(ConnectError, match="half a surrogate pair") as refused:
        await session.connect(url="ws://127.0.0.1:1", headers={"X-Words": "secret-words\ud800"})
    assert refused.value.__context__ is None
    assert session.status == "disconnected"
