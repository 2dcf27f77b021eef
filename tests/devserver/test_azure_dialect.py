"""Azure Voice Live's own ways."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
from accents import AZURE
from dialect_client import DialectClient, dial
from refusals import Refusal, expect, item, session
from wire_client import spoken

from stapes.devserver import ScriptedMind, Turn

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

MIND = ScriptedMind([Turn(say="Hello to you.")], hears=["hello there"])


@pytest.fixture
async def client(run: Any, stack: AsyncExitStack) -> DialectClient:
    client = await dial(await run(MIND, dialect="azure"), AZURE)
    stack.push_async_callback(client.socket.close)
    return client


async def test_what_a_session_is_at_first(client):
    session = client.events[0]["session"]
    assert session["voice"] == {"name": "alloy", "type": "openai"}
    assert session["modalities"] == ["audio"]
    assert session["output_audio_format"] is None
    assert session["input_audio_sampling_rate"] == 24_000
    assert session["turn_detection"]["silence_duration_ms"] == 200


@pytest.mark.parametrize(
    "kind", ["azure_semantic_vad", "azure_semantic_vad_en", "azure_semantic_vad_multilingual"]
)
async def test_turns_are_detected_in_azures_ways(client, kind):
    asked = {
        "type": kind,
        "threshold": 0.4,
        "remove_filler_words": True,
        "languages": ["en"],
        "end_of_utterance_detection": {"model": "semantic_detection_v1", "timeout_ms": 900},
    }
    told = (await client.configure(turn_detection=asked))["turn_detection"]
    assert told | asked == told
    assert (told["prefix_padding_ms"], told["silence_duration_ms"]) == (400, 500)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("sage", {"name": "sage", "type": "openai"}),
        ({"name": "en-US-Ava:DragonHDLatestNeural", "type": "azure-standard"}, None),
        ({"name": "mine", "type": "azure-custom", "endpoint_id": "x", "rate": "1.2"}, None),
    ],
)
async def test_voices_are_told_as_objects(client, asked, told):
    assert (await client.configure(voice=asked))["voice"] == (told or asked)


async def test_azures_extras_are_told(client):
    extras = {
        "input_audio_noise_reduction": {"type": "azure_deep_noise_suppression"},
        "input_audio_echo_cancellation": {"type": "server_echo_cancellation"},
        "output_audio_timestamp_types": ["word"],
    }
    session = await client.configure(**extras)
    assert {name: session[name] for name in extras} == extras
    transcription = session["input_audio_transcription"]
    assert transcription["model"] == "azure-speech"
    assert transcription["phrase_list"] is None


async def test_a_spoken_turn_is_told_of_twice_and_an_answer_once(client):
    await client.configure()
    await client.hear_speech(await spoken("hello there my friend"))
    await client.until("response.done")
    told = [event for event in client.events if event["type"].startswith("conversation.item.")]
    kinds = [
        (event["type"].rpartition(".")[2], event.get("item", {}).get("role")) for event in told
    ]
    items = [kind for kind in kinds if kind[1]]
    assert items == [("created", "user"), ("done", "user"), ("created", "assistant")]
    assert not client.of("rate_limits.updated")


@pytest.mark.parametrize("part", ["text", "output_text"])
async def test_both_names_of_the_assistants_text_are_taken(client, part):
    content = [{"type": part, "text": "Good morning."}]
    item = {"type": "message", "role": "assistant", "content": content}
    await client.send("conversation.item.create", item=item)
    told = (await client.until("conversation.item.created"))["item"]
    assert told["content"] == [{"type": "text", "text": "Good morning."}]


async def test_one_response_may_have_another_format_than_the_session(client):
    await client.configure()
    await client.send("response.create", response={"output_audio_format": "pcm16"})
    await client.until("response.done")
    native = client.sound()
    del client.events[:]
    await client.send("response.create")
    done = (await client.until("response.done"))["response"]
    assert len(client.sound()) // 2 == -(-len(native) // 2 * 16 // 24)
    await client.send("conversation.item.retrieve", item_id=done["output"][0]["id"])
    part = (await client.until("conversation.item.retrieved"))["item"]["content"][0]
    assert len(base64.b64decode(part["audio"])) == len(client.sound())


REFUSED: dict[str, Refusal] = {
    "the type of a GA session": (session(type="realtime"), "unknown_parameter", "session.type"),
    "GA's audio": (session(audio={}), "unknown_parameter", "session.audio"),
    "speed": (session(speed=1.2), "unknown_parameter", "session.speed"),
    "a rate of xAI's": (
        session(input_audio_sampling_rate=48_000),
        "invalid_value",
        "session.input_audio_sampling_rate",
    ),
    "a fast phone": (
        session(input_audio_format="g711_ulaw", input_audio_sampling_rate=16_000),
        "invalid_value",
        "session.input_audio_sampling_rate",
    ),
    "another turn detection": (
        session(turn_detection={"type": "semantic_hearing"}),
        "invalid_value",
        "session.turn_detection.type",
    ),
    "a nameless voice": (
        session(voice={"type": "openai"}),
        "missing_required_parameter",
        "session.voice.name",
    ),
    "an item without a role": (
        item(type="message", content=[]),
        "missing_required_parameter",
        "item.role",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_voice_live_does_not_know_is_refused(client, what):
    await expect(client, REFUSED[what])
