"""Qwen-Omni-Realtime's own ways. The client checks that an event has no undocumented field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from accents import QWEN
from dialect_client import DialectClient, dial
from refusals import Refusal, expect, session, user
from wire_client import spoken

from stapes.devserver import Say, ScriptedMind, Turn

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

MIND = ScriptedMind([Turn(say="Hello to you.")], hears=["hello there"])


class Deaf:
    """A mind that cannot hear."""

    async def hear(self, pcm: bytes, *, instructions: str, tools: Any) -> str:
        raise TimeoutError

    async def answer(self, view: Any) -> Any:
        yield Say("Pardon?")


@pytest.fixture
def call(run: Any, stack: AsyncExitStack) -> Any:
    async def start(mind: Any = MIND) -> DialectClient:
        client = await dial(await run(mind, dialect="qwen"), QWEN)
        stack.push_async_callback(client.socket.close)
        return client

    return start


async def test_what_a_session_is_at_first(call):
    session = (await call()).events[0]["session"]
    assert session["modalities"] == ["text", "audio"]
    assert session["voice"] == "Cherry"
    assert session["input_audio_format"] == session["output_audio_format"] == "pcm"
    assert session["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 800,
        "create_response": True,
        "interrupt_response": True,
    }


async def test_settings_of_its_own_are_told(call):
    own = {
        "enable_search": True,
        "search_options": {"enable_source": True},
        "temperature": 1.1,
        "max_tokens": 1_000,
        "turn_detection": {"type": "semantic_vad", "threshold": -0.5},
    }
    told = await (await call()).configure(**own)
    assert {name: told[name] for name in own if name != "turn_detection"} == {
        name: value for name, value in own.items() if name != "turn_detection"
    }
    assert told["turn_detection"]["type"] == "semantic_vad"
    assert told["turn_detection"]["threshold"] == -0.5
    assert told["tools"] == QWEN.session["tools"]


async def test_text_alone(call):
    client = await call()
    await client.configure(modalities=["text"])
    await client.hear_speech(await spoken("hello there my friend"))
    done = (await client.until("response.done"))["response"]
    assert done["output"][0]["content"] == [{"type": "text", "text": "Hello to you."}]
    assert client.of("response.text.done")[0]["text"] == "Hello to you."


async def test_usage_has_the_names_of_the_page(call):
    client = await call()
    await client.configure()
    await client.hear_speech(await spoken("hello there my friend"))
    usage = (await client.until("response.done"))["response"]["usage"]
    assert usage["input_tokens"] == sum(usage["input_tokens_details"].values())
    assert usage["output_tokens"] == sum(usage["output_tokens_details"].values())


async def test_words_stand_in_text_until_the_response_is_done(call):
    client = await call()
    await client.configure()
    await client.hear_speech(await spoken("hello there my friend"))
    done = (await client.until("response.done"))["response"]
    (item,) = client.of("response.output_item.done")
    assert item["item"]["content"] == [{"type": "audio", "text": "Hello to you."}]
    assert done["output"][0]["content"] == [{"type": "audio", "transcript": "Hello to you."}]


async def test_a_failed_transcription_has_no_event_id(call):
    client = await call(Deaf())
    await client.configure()
    await client.hear_speech(await spoken("hello there my friend"))
    failed = await client.until("conversation.item.input_audio_transcription.failed")
    assert "event_id" not in failed
    assert failed["error"].keys() == {"code", "message", "param"}


REFUSED: dict[str, Refusal] = {
    "sound alone": (session(modalities=["audio"]), "invalid_value", "session.modalities"),
    "a phone's format": (
        session(input_audio_format="g711_ulaw"),
        "invalid_value",
        "session.input_audio_format",
    ),
    "a flat tool": (
        session(tools=[{"type": "function", "name": "weather"}]),
        "missing_required_parameter",
        "session.tools[0].function",
    ),
    "a choice of tools": (
        session(tool_choice="auto"),
        "unknown_parameter",
        "session.tool_choice",
    ),
    "hasty turns": (
        session(turn_detection={"type": "server_vad", "silence_duration_ms": 100}),
        "integer_below_min_value",
        "session.turn_detection.silence_duration_ms",
    ),
    "what is written": (
        user({"type": "input_text", "text": "Hello."}),
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
    "a response with settings": (
        {"type": "response.create", "response": {}},
        "unknown_parameter",
        "response",
    ),
    "the end of one response among several": (
        {"type": "response.cancel", "response_id": "x"},
        "unknown_parameter",
        "response_id",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_qwen_does_not_know_is_refused(call, what):
    await expect(await call(), REFUSED[what])
