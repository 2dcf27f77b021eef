"""The beta's own ways. That each of its events fits the beta's types is checked by the client."""

from __future__ import annotations

import base64
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from accents import BETA
from dialect_client import DialectClient, dial
from refusals import Refusal, expect, item, session, user
from wire_client import spoken

from stapes.devserver import Call, ScriptedMind, Turn

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

MIND = ScriptedMind(
    [
        Turn(when="weather", say="Let me look.", call=Call("weather", {"city": "Oslo"})),
        Turn(say="Hello to you."),
    ],
    hears=["hello there"],
)


@pytest.fixture
def call(run: Any, stack: AsyncExitStack) -> Any:
    async def start(mind: Any = MIND, **options: Any) -> DialectClient:
        client = await dial(await run(mind, dialect="beta", **options), BETA)
        stack.push_async_callback(client.socket.close)
        return client

    return start


async def write(client: DialectClient, text: str, **response: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create", **({"response": response} if response else {}))
    done: dict[str, Any] = (await client.until("response.done"))["response"]
    return done


async def test_what_a_session_is_at_first(call):
    client = await call()
    created, conversation = client.events
    session = created["session"]
    assert session["modalities"] == ["text", "audio"]
    assert session["voice"] == "alloy"
    assert session["temperature"] == 0.8
    assert session["turn_detection"]["silence_duration_ms"] == 200
    assert session["input_audio_format"] == session["output_audio_format"] == "pcm16"
    assert session["max_response_output_tokens"] == "inf"
    assert conversation["conversation"]["object"] == "realtime.conversation"


async def test_all_settings_are_told_as_they_were_asked_for(call):
    client = await call()
    asked = {
        **BETA.session,
        "output_audio_format": "g711_ulaw",
        "input_audio_noise_reduction": {"type": "far_field"},
        "speed": 1.2,
        "max_response_output_tokens": 900,
        "tool_choice": "required",
    }
    session = await client.configure(**asked)
    for name, value in asked.items():
        if name in ("input_audio_transcription", "turn_detection"):
            assert session[name] | value == session[name]
        else:
            assert session[name] == value, name


async def test_a_turn_is_told_in_the_order_of_the_beta(call):
    client = await call()
    await client.configure()
    begun = len(client.events)
    await client.hear_speech(await spoken("hello there my friend"))
    await client.until("rate_limits.updated")
    told = [kind for kind, _ in groupby(client.types()[begun:]) if "delta" not in kind]
    assert told == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.created",
        "response.created",
        "conversation.item.input_audio_transcription.completed",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.audio.done",
        "response.audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    response = client.of("response.done")[0]["response"]
    assert response["conversation_id"] == client.events[1]["conversation"]["id"]
    assert response["voice"] == "sage"
    assert response["temperature"] == 0.7


async def test_text_alone_has_the_betas_names(call):
    client = await call()
    await client.configure(modalities=["text"])
    done = await write(client, "hello")
    assert done["modalities"] == ["text"]
    assert done["output"][0]["content"] == [{"type": "text", "text": "Hello to you."}]
    words = [event["delta"] for event in client.of("response.text.delta")]
    assert "".join(words) == client.of("response.text.done")[0]["text"] == "Hello to you."


async def test_a_response_has_settings_of_its_own(call):
    client = await call()
    await client.configure()
    done = await write(
        client,
        "hello",
        modalities=["text"],
        conversation="none",
        metadata={"topic": "x"},
        max_output_tokens=50,
        input=[
            {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi."}]}
        ],
    )
    assert (done["modalities"], done["conversation_id"]) == (["text"], None)
    assert (done["metadata"], done["max_output_tokens"]) == ({"topic": "x"}, 50)


async def test_the_assistants_words_are_a_part_of_the_type_text(call):
    client = await call()
    content = [{"type": "text", "text": "Good morning."}]
    item = {"type": "message", "role": "assistant", "content": content}
    await client.send("conversation.item.create", item=item)
    assert (await client.until("conversation.item.created"))["item"]["content"] == content


async def test_an_answer_is_cut_where_it_was_heard(call):
    client = await call()
    await client.configure()
    done = await write(client, "hello")
    (answer,) = done["output"]
    cut = {"item_id": answer["id"], "content_index": 0, "audio_end_ms": 300}
    await client.send("conversation.item.truncate", **cut)
    assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 300
    await client.send("conversation.item.retrieve", item_id=answer["id"])
    part = (await client.until("conversation.item.retrieved"))["item"]["content"][0]
    assert part["type"] == "audio"
    assert len(base64.b64decode(part["audio"])) == 300 * 48


REFUSED: dict[str, Refusal] = {
    "the type of a GA session": (
        session(type="realtime"),
        "unknown_parameter",
        "session.type",
    ),
    "GA's audio": (session(audio={}), "unknown_parameter", "session.audio"),
    "GA's modalities": (
        session(output_modalities=["audio"]),
        "unknown_parameter",
        "session.output_modalities",
    ),
    "GA's tokens": (
        session(max_output_tokens=3),
        "unknown_parameter",
        "session.max_output_tokens",
    ),
    "sound alone": (session(modalities=["audio"]), "invalid_value", "session.modalities"),
    "GA's formats": (
        session(input_audio_format="audio/pcm"),
        "invalid_value",
        "session.input_audio_format",
    ),
    "an idle timeout": (
        session(turn_detection={"type": "server_vad", "idle_timeout_ms": 6_000}),
        "unknown_parameter",
        "session.turn_detection.idle_timeout_ms",
    ),
    "hosted MCP": (
        session(tools=[{"type": "mcp", "server_label": "x"}]),
        "invalid_value",
        "session.tools[0].type",
    ),
    "too hot": (session(temperature=2), "decimal_above_max_value", "session.temperature"),
    "GA's text": (
        item(type="message", role="assistant", content=[{"type": "output_text", "text": "Hi."}]),
        "invalid_value",
        "item.content[0].type",
    ),
    "images": (
        user({"type": "input_image", "image_url": "x"}),
        "invalid_value",
        "item.content[0].type",
    ),
    "GA's response": (
        {"type": "response.create", "response": {"output_modalities": ["text"]}},
        "unknown_parameter",
        "response.output_modalities",
    ),
    "another event": ({"type": "output_audio_buffer.clear"}, "invalid_value", "type"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_the_beta_does_not_know_is_refused(call, what):
    error = await expect(await call(), REFUSED[what])
    assert error["event_id"] == "e1"


async def test_a_refused_setting_changes_nothing(call):
    client = await call()
    await client.configure()
    await write(client, "hello")
    await client.send("session.update", session={"voice": "verse", "temperature": 1.1})
    assert (await client.until("error"))["error"]["code"] == "cannot_update_voice"
    updated = await client.configure(speed=1.1)
    assert (updated["voice"], updated["temperature"]) == ("sage", 0.7)


async def test_the_header_of_the_beta_is_welcome(run):
    headers = {"Authorization": "Bearer key", "OpenAI-Beta": "realtime=v1"}
    client = await dial(await run(dialect="beta"), replace(BETA, headers=headers))
    await client.socket.close()
