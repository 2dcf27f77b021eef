"""xAI's own ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from accents import XAI
from dialect_client import DialectClient, at_rate, dial
from refusals import Refusal, expect, item, session, user
from wire_client import spoken

from stapes.devserver import Call, ScriptedMind, Turn
from stapes.devserver.dialects.resumption import Resumptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack

MIND = ScriptedMind(
    [
        Turn(when="weather", say="Let me look.", call=Call("weather", {"city": "Oslo"})),
        Turn(say="Hello to you."),
    ],
    hears=["hello there"],
)
RESUMABLE = {"resumption": {"enabled": True}}
RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
HEARD = "conversation.item.input_audio_transcription"


@pytest.fixture
def call(run: Any, stack: AsyncExitStack) -> Callable[..., Awaitable[DialectClient]]:
    """Call the test's one server."""
    servers: list[Any] = []

    async def start(query: str = "?model=grok", **options: Any) -> DialectClient:
        if not servers:
            servers.append(await run(MIND, dialect="xai", **options))
        client = await dial(servers[0], XAI, query)
        client.server = servers[0]
        stack.push_async_callback(client.socket.close)
        return client

    return start


async def write(client: DialectClient, text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    await client.send("conversation.item.create", item=item)
    await client.send("response.create")
    return await client.until("response.done")


async def test_what_a_session_is_at_first(call):
    created, conversation, _ = (await call()).events
    assert created["session"]["turn_detection"] == {"type": None}
    assert created["session"]["instructions"] == ""
    assert created["session"]["voice"] == "ara"
    assert conversation["conversation"]["object"] == "realtime.conversation"


async def test_nobody_is_heard_before_turns_are_detected(call):
    client = await call()
    await client.hear(await spoken("hello there my friend"))
    await client.send("input_audio_buffer.clear")
    await client.until("input_audio_buffer.cleared")
    assert not client.of("input_audio_buffer.speech_started")


async def test_a_session_is_told_with_voice_and_turns_at_the_top(call):
    asked = {
        "reasoning": {"effort": "none"},
        "tools": [{"type": "web_search"}, *XAI.session["tools"]],
        "turn_detection": {"type": "server_vad", "create_response": True},
    }
    told = await (await call()).configure(**asked)
    assert told["voice"] == "eve"
    assert told["turn_detection"] == asked["turn_detection"]
    assert told["reasoning"] == {"effort": "none"}
    assert told["audio"]["output"] == {
        "format": {"type": "audio/pcm", "rate": 48_000},
        "transport": "json",
    }
    assert [tool["type"] for tool in told["tools"]] == ["web_search", "function"]
    assert told["tools"][1]["function"]["name"] == "weather"


async def test_a_response_is_told_in_the_order_of_the_recordings(call):
    client = await call()
    await client.configure()
    begun = len(client.events)
    done = await write(client, "what is the weather")
    told = [kind for kind in client.types()[begun:] if not kind.endswith("delta")]
    assert told == [
        "conversation.item.added",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_audio.done",
        "response.output_item.done",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.done",
    ]
    assert done["response"]["usage"] == {}
    assert done["response"]["status_details"] == "unimplemented"
    assert done["usage"]["output_tokens"] == sum(done["usage"]["output_token_details"].values())
    (_, call_added) = client.of("response.output_item.added")
    assert call_added["item"]["role"] == "user"


async def test_a_transcript_comes_as_a_whole_each_time(call):
    client = await call()
    await client.configure()
    await client.hear_speech(await spoken("hello there my friend"))
    completed = await client.until(f"{HEARD}.completed")
    updates = [event["transcript"] for event in client.of(f"{HEARD}.updated")]
    assert updates == ["hello", "hello there"]
    assert completed["transcript"] == "hello there"


@pytest.mark.parametrize("rate", RATES)
async def test_every_rate_goes_both_ways(call, rate):
    client = await call()
    format_ = {"type": "audio/pcm", "rate": rate}
    audio = {"input": {"format": format_}, "output": {"format": format_}}
    await client.configure(audio=audio, turn_detection=None)
    said = np.frombuffer(await spoken("hello there my friend"), dtype="<i2")
    await client.hear(at_rate(said, rate), chunk=2_000)
    await client.send("input_audio_buffer.commit")
    await client.send("response.create")
    await client.until("response.done")
    heard, answer = client.server.calls[0].call.items
    sound_of = client.server.calls[0].call.sound_of
    assert len(sound_of(heard["id"])) // 2 == pytest.approx(len(said), abs=3)
    samples = len(sound_of(answer["id"])) // 2
    assert len(client.sound()) // 2 == -(-samples * rate // 24_000)


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
async def test_phones_have_their_own_formats(call, name):
    client = await call()
    audio = {"output": {"format": {"type": name}}}
    told = await client.configure(audio=audio)
    assert told["audio"]["output"]["format"] == {"type": name}
    await write(client, "hello")
    (_, answer) = client.server.calls[0].call.items
    sound = client.server.calls[0].call.sound_of(answer["id"])
    assert len(client.sound()) == -(-len(sound) // 6)


async def test_sound_travels_in_binary_frames_where_that_is_asked_for(call):
    client = await call()
    rate = {"format": {"type": "audio/pcm", "rate": 16_000}, "transport": "binary"}
    await client.configure(audio={"input": rate, "output": rate}, turn_detection=None)
    said = np.frombuffer(await spoken("hello there my friend"), dtype="<i2")
    await client.socket.send(at_rate(said, 16_000))
    await client.send("input_audio_buffer.commit")
    await client.send("response.create")
    await client.until("response.done")
    heard, answer = client.server.calls[0].call.items
    sound_of = client.server.calls[0].call.sound_of
    assert len(sound_of(heard["id"])) // 2 == pytest.approx(len(said), abs=3)
    assert not client.of("response.output_audio.delta")
    got = b"".join(event["frame"] for event in client.of("binary"))
    assert len(got) // 2 == -(-len(sound_of(answer["id"])) // 2 * 2 // 3)


async def test_a_binary_frame_is_refused_where_the_transport_is_json(call):
    client = await call()
    await client.socket.send(b"\0\0")
    assert (await client.until("error"))["error"]["code"] == "invalid_event"


async def test_a_drop_at_the_first_binary_frame(call):
    client = await call()
    await client.configure(audio={"output": {"transport": "binary"}})
    armed = client.server.arm("first_delta", 1012)
    await client.send("response.create")
    await armed.wait()


async def test_a_conversation_is_taken_up_by_another_connection(call):
    first = await call()
    await first.configure(**RESUMABLE)
    await first.hear_speech(await spoken("hello there my friend"))
    await first.until("response.done")
    await write(first, "hello again")
    conversation = first.events[1]["conversation"]["id"]
    old = {item["id"] for item in first.server.calls[0].call.items}
    await first.socket.close()
    await first.server.calls[0].wait_closed()

    second = await call(f"?model=grok&conversation_id={conversation}")
    assert second.events[1]["conversation"]["id"] == conversation
    await second.configure(**RESUMABLE)
    replayed = [event["item"] for event in second.of("conversation.item.added")]
    # What was typed does not come back.
    assert [(item["role"], item["content"]) for item in replayed] == [
        ("user", [{"type": "input_text", "text": "hello there"}]),
        ("assistant", [{"type": "text", "text": "Hello to you."}]),
        ("assistant", [{"type": "text", "text": "Hello to you."}]),
    ]
    assert not old & {item["id"] for item in replayed}
    assert second.types()[-1] == "session.updated"
    await write(second, "hello")
    await second.configure(**RESUMABLE)
    added = [event["item"] for event in second.of("conversation.item.added")]
    assert len(added) == len(replayed) + 2


@pytest.mark.parametrize("asks", ["first", "second"])
async def test_resumption_is_asked_for_on_both_sides(call, asks):
    first = await call()
    await first.configure(**(RESUMABLE if asks == "first" else {}))
    await write(first, "hello")
    conversation = first.events[1]["conversation"]["id"]
    await first.socket.close()
    second = await call(f"?model=grok&conversation_id={conversation}")
    await second.configure(**(RESUMABLE if asks == "second" else {}))
    assert not second.of("conversation.item.added")


def test_a_conversation_is_kept_for_half_an_hour():
    now = [0.0]
    kept = Resumptions(lambda: now[0])
    kept.keep("a", lambda: [{"id": "1"}])
    now[0] = 1_800.0
    assert kept.items("a") == [{"id": "1"}]
    now[0] = 1_801.0
    assert kept.items("a") is None


def test_at_most_a_thousand_conversations_are_kept():
    kept = Resumptions()
    for number in range(1_001):
        kept.keep(str(number), list)
    assert (kept.items("0"), kept.items("1")) == (None, [])


REFUSED: dict[str, Refusal] = {
    "the type of a GA session": (session(type="realtime"), "unknown_parameter", "session.type"),
    "GA's place of the voice": (
        session(audio={"output": {"voice": "eve"}}),
        "unknown_parameter",
        "session.audio.output.voice",
    ),
    "GA's place of the turns": (
        session(audio={"input": {"turn_detection": None}}),
        "unknown_parameter",
        "session.audio.input.turn_detection",
    ),
    "a meaning of turns": (
        session(turn_detection={"type": "semantic_vad"}),
        "invalid_value",
        "session.turn_detection.type",
    ),
    "another rate": (
        session(audio={"input": {"format": {"type": "audio/pcm", "rate": 96_000}}}),
        "invalid_value",
        "session.audio.input.format.rate",
    ),
    "text alone": (session(modalities=["text"]), "invalid_value", "session.modalities"),
    "an answer in text": (
        {"type": "response.create", "response": {"modalities": ["text"]}},
        "invalid_value",
        "response.modalities",
    ),
    "an answer beside the conversation": (
        {"type": "response.create", "response": {"conversation": "none"}},
        "unknown_parameter",
        "response.conversation",
    ),
    "images": (
        user({"type": "input_image", "image_url": "x"}),
        "invalid_value",
        "item.content[0].type",
    ),
    "words to say as they are": (
        item(type="force_message", content=[{"text": "Hello."}]),
        "invalid_value",
        "item.type",
    ),
    "a cut": (
        {
            "type": "conversation.item.truncate",
            "item_id": "x",
            "content_index": 0,
            "audio_end_ms": 1,
        },
        "invalid_value",
        "type",
    ),
    "a look at an item": (
        {"type": "conversation.item.retrieve", "item_id": "x"},
        "invalid_value",
        "type",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_xai_does_not_know_is_refused(call, what):
    await expect(await call(), REFUSED[what])
