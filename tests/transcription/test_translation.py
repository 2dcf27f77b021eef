"""`RealtimeTranslation`: what it sends, what it tells, and how it survives its connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from openai.types import realtime as wire
from scripted import encoded, sound
from tests.openai_types import validated

from stapes import (
    Audio,
    ConnectionChanged,
    Error,
    RealtimeTranslation,
    ReconnectPolicy,
    SessionRestored,
    TranslationDelta,
)
from stapes.transcription.urls import translation_url

if TYPE_CHECKING:
    from scripted import Scripts

APPEND = "session.input_audio_buffer.append"
GAP = ReconnectPolicy(first_delay=5)


def spoken(data: bytes, **fields: Any) -> dict[str, Any]:
    about = {"sample_rate": 24_000, "channels": 1, "format": "pcm16", "elapsed_ms": 200}
    return {"type": "session.output_audio.delta", "delta": encoded(data), **about, **fields}


def words(kind: str, delta: str, elapsed_ms: int | None = None) -> dict[str, Any]:
    return {"type": f"session.{kind}_transcript.delta", "delta": delta, "elapsed_ms": elapsed_ms}


@pytest.mark.parametrize(
    ("conversations", "expected"),
    [
        (
            "wss://api.openai.com/v1/realtime?model=m",
            "wss://api.openai.com/v1/realtime/translations?model=m",
        ),
        ("ws://h:1/v1/realtime/?model=m", "ws://h:1/v1/realtime/translations?model=m"),
    ],
)
def test_a_translation_has_a_path_of_its_own(conversations: str, expected: str):
    assert translation_url(conversations) == expected


async def test_everything_is_sent_as_the_provider_types_it(scripts: Scripts):
    made = await scripts.translate(
        "de",
        transcription_model="gpt-realtime-whisper",
        noise_reduction={"type": "far_field", "strength": 0.25},
    )
    assert isinstance(made.session, RealtimeTranslation)
    await made.session.send_audio(sound(200, 1))
    await made.session.send_audio(bytes(3200), sample_rate=8000)
    await made.session.set_language("fr")
    made.session.finish()
    await made.settle()
    for message in made.told():
        validated(wire.RealtimeTranslationClientEvent, message)
    kinds = [message["type"] for message in made.told()]
    assert kinds == ["session.update", APPEND, APPEND, "session.update", "session.close"]
    assert made.told()[0]["session"] == {
        "audio": {
            "input": {
                "transcription": {"model": "gpt-realtime-whisper"},
                "noise_reduction": {"type": "far_field", "strength": 0.25},
            },
            "output": {"language": "de"},
        }
    }
    assert made.heard(APPEND)[:9600] == sound(200, 1)
    # The resampler holds back some of the end.
    assert 0 <= 9600 + 9600 - len(made.heard(APPEND)) < 400
    assert made.session.language == "fr"


async def test_sound_and_words_of_the_translation_are_events(scripts: Scripts):
    made = await scripts.translate()
    await made.says(
        words("input", "Hello", 200),
        words("output", "Ho", 200),
        spoken(sound(100, 1)),
        words("output", "la"),
        spoken(sound(50, 2)),
    )
    told = [event for event in made.events if type(event) is not ConnectionChanged]
    assert told == [
        TranslationDelta("user", "Hello", 200),
        TranslationDelta("assistant", "Ho", 200),
        Audio(sound(100, 1), "", ""),
        TranslationDelta("assistant", "la", None),
        Audio(sound(50, 2), "", ""),
    ]


async def test_the_sound_comes_at_the_rate_that_is_asked_for(scripts: Scripts):
    made = await scripts.translate(output_sample_rate=8000)
    assert isinstance(made.session, RealtimeTranslation)
    assert made.session.output_sample_rate == 8000
    for _ in range(10):
        await made.says(spoken(sound(200, 1)))
    length = sum(len(event.data) for event in made.seen(Audio))
    # The resampler holds back some of the end.
    assert 0 <= 2 * 16_000 - length < 200


async def test_finishing_waits_for_the_rest_of_the_translation(scripts: Scripts):
    made = await scripts.translate()
    finished = made.session.finish()
    await made.says(spoken(sound(100)), words("output", "."))
    assert made.session.status == "connected"
    await made.says({"type": "session.closed"})
    await finished
    assert made.session.status == "disconnected"
    assert len(made.seen(Audio)) == 1
    assert made.seen(Error) == []
    (over,) = [it for it in made.seen(ConnectionChanged) if it.status == "disconnected"]
    assert over.error is None


async def test_a_close_that_was_not_announced_is_a_loss(scripts: Scripts):
    made = await scripts.translate("es", reconnect=GAP)
    await made.session.send_audio(sound(3000, 1))
    await made.settle()
    await made.server.close(1000)
    await made.settle()
    assert made.session.status == "reconnecting"
    made._before = len(made.server.received)
    await made.session.send_audio(sound(500, 2))
    await made.after(5)
    assert made.told()[0]["session"]["audio"]["output"] == {"language": "es"}
    # The last second, and what was said meanwhile.
    assert made.heard(APPEND) == sound(1000, 1) + sound(500, 2)
    (restored,) = made.seen(SessionRestored)
    assert restored.gap == 5.0
    await made.says({"type": "session.closed"})
    assert made.session.status == "disconnected"


async def test_another_language_holds_over_another_connection(scripts: Scripts):
    made = await scripts.translate("es", reconnect=GAP)
    assert isinstance(made.session, RealtimeTranslation)
    await made.session.set_language("it")
    await made.settle()
    await made.loses()
    await made.after(5)
    assert made.told()[0]["session"]["audio"]["output"] == {"language": "it"}
    assert made.told()[0]["session"]["audio"]["input"]["transcription"] is None


async def test_a_translation_that_was_to_end_ends_after_a_loss(scripts: Scripts):
    made = await scripts.translate(reconnect=GAP)
    finished = made.session.finish()
    await made.settle()
    await made.loses()
    await made.after(5)
    assert len(made.sent("session.close")) == 1
    await made.says({"type": "session.closed"})
    await finished


@pytest.mark.parametrize(
    "event",
    [
        {"type": "session.output_transcript.delta"},
        {"type": "session.output_audio.delta", "delta": "?"},
        {"type": "session.output_audio.delta"},
        {"type": "response.output_text.delta", "delta": "x"},
        {"type": "error", "error": {"message": "No."}},
    ],
    ids=lambda event: f"{event['type']} {len(event)}",
)
async def test_what_has_no_effect_is_an_error(scripts: Scripts, event: dict[str, Any]):
    made = await scripts.translate()
    await made.says(event)
    assert len(made.seen(Error)) == 1
    assert made.session.status == "connected"


@pytest.mark.parametrize(
    ("options", "words_"),
    [
        ({"language": ""}, "language"),
        ({"language": "es", "model": ""}, "model"),
        ({"language": "es", "output_sample_rate": 0}, "output_sample_rate"),
    ],
)
async def test_an_option_that_cannot_be_is_refused_by_name(options: Any, words_: str):
    with pytest.raises(ValueError, match=words_):
        RealtimeTranslation(**options)


async def test_words_that_the_loop_has_no_time_for_are_merged(scripts: Scripts):
    made = await scripts.translate(max_queued_events=20)
    deltas: list[str] = []
    made.session.on("translation_delta", lambda event: deltas.append(event.delta))
    for n in range(200):
        await made.server.send(words("output", f"{n} ", n))
    await made.settle()
    assert "".join(deltas) == "".join(f"{n} " for n in range(200))
    assert made.session.status == "connected"


async def test_nothing_is_told_before_the_handshake_is_done(scripts: Scripts):
    made = await scripts.translate(connect=False)
    connecting = asyncio.ensure_future(made.session.connect(url=made.server.url))
    await connecting
    assert [event.status for event in made.seen(ConnectionChanged)] == ["connecting", "connected"]
