"""Servers that speak an older or another dialect are understood."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from stapes import MessageItem, RealtimeAgent, RealtimeSession
from stapes.items import InputAudio, OutputAudio, OutputText
from stapes.testing import ScriptedServer, settle

AGENT = RealtimeAgent(name="Front desk", instructions="Be brief.")
SOUND = bytes(range(100)) * 2


def message(name: str, role: str, status: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": "message", "role": role, "status": status, "content": [*parts]}


async def talk(*events: dict[str, Any]) -> tuple[list[Any], list[Any], bytes]:
    """The history, the other events, and the sound of a session that these events come to."""
    seen: list[Any] = []
    sound = bytearray()
    async with ScriptedServer() as server:
        session = RealtimeSession(AGENT, api_key="test", reconnect=None)
        for kind in ("error", "transcript_delta", "response_done", "agent_end"):
            session.on(kind, seen.append)
        session.on("audio", lambda event: sound.extend(event.data))
        await session.connect(url=server.url)
        for event in events:
            await server.send(event)
        await settle(session, server)
        history = list(session.history)
        await session.close()
    return history, seen, bytes(sound)


async def test_a_conversation_in_the_words_of_the_beta_is_understood():
    ids = {"response_id": "r", "item_id": "a", "content_index": 0}
    said = {"type": "input_audio", "transcript": None}
    answer = {"type": "audio", "transcript": "Good day."}
    created = "conversation.item.created"
    history, seen, sound = await talk(
        {"type": created, "item": message("u", "user", "completed", said)},
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.added", "item": message("a", "assistant", "in_progress")},
        {"type": created, "item": message("a", "assistant", "in_progress")},
        {"type": "response.audio_transcript.delta", "delta": "Good ", **ids},
        {"type": "response.audio_transcript.delta", "delta": "day.", **ids},
        {"type": "response.audio.delta", "delta": base64.b64encode(SOUND).decode(), **ids},
        {"type": "response.audio.done", **ids},
        {
            "type": "response.output_item.done",
            "response_id": "r",
            "item": message("a", "assistant", "completed", answer),
        },
        {
            "type": "response.done",
            "response": {
                "id": "r",
                "status": "completed",
                "output": [message("a", "assistant", "completed", answer)],
            },
        },
    )
    assert sound == SOUND
    assert [event.delta for event in seen if event.type == "transcript_delta"] == ["Good ", "day."]
    assert [(item.item_id, item.status, item.content) for item in history] == [
        ("u", "completed", (InputAudio(),)),
        ("a", "completed", (OutputAudio("Good day."),)),
    ]
    assert not [event for event in seen if event.type == "error"]


async def test_written_answers_of_the_beta_are_understood():
    ids = {"response_id": "r", "item_id": "a", "content_index": 0}
    part = {"type": "text", "text": "Hi."}
    item = message("a", "assistant", "completed", part)
    history, seen, _ = await talk(
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "conversation.item.created", "item": message("a", "assistant", "in_progress")},
        {"type": "response.text.delta", "delta": "Hi.", **ids},
        {"type": "response.text.done", "text": "Hi.", **ids},
        {"type": "response.output_item.done", "response_id": "r", "item": item},
        {"type": "response.done", "response": {"id": "r", "output": [item]}},
    )
    [answer] = history
    assert isinstance(answer, MessageItem)
    assert answer.content == (OutputText("Hi."),)
    assert [event.output for event in seen if event.type == "agent_end"] == ["Hi."]


async def test_items_without_their_content_get_it_from_the_end_of_the_response():
    bare = {"id": "a", "type": "message", "role": "assistant", "status": "completed"}
    whole = bare | {"content": [{"type": "audio", "transcript": "Good day."}]}
    history, seen, _ = await talk(
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.added", "response_id": "r", "item": bare},
        {"type": "response.output_item.done", "response_id": "r", "item": bare},
        {
            "type": "response.done",
            "response": {"id": "r", "output": [whole], "usage": {}},
            "usage": {"total_tokens": 47},
        },
    )
    assert [item.content for item in history] == [(OutputAudio("Good day."),)]
    [done] = [event for event in seen if event.type == "response_done"]
    assert done.usage == {"total_tokens": 47}


async def test_a_transcript_that_is_sent_as_a_whole_each_time_is_told_by_what_is_new():
    kind = "conversation.item.input_audio_transcription"
    user = message("u", "user", "completed", {"type": "input_audio", "transcript": None})
    _, seen, _ = await talk(
        {"type": "conversation.item.added", "item": user},
        *(
            {"type": f"{kind}.updated", "item_id": "u", "content_index": 0, "transcript": text}
            for text in ("What", "What is", "What is", "What was it")
        ),
        {"type": f"{kind}.updated", "item_id": "v", "transcript": "And"},
        {"type": f"{kind}.updated", "transcript": "nobody's"},
    )
    deltas = [(event.item_id, event.delta) for event in seen if event.type == "transcript_delta"]
    assert deltas == [("u", "What"), ("u", " is"), ("v", "And")]
    [error] = [event for event in seen if event.type == "error"]
    assert "item_id" in str(error.error)


async def test_a_transcript_that_may_be_revised_is_told_by_what_is_new():
    kind = "conversation.item.input_audio_transcription"
    user = message("u", "user", "completed", {"type": "input_audio", "transcript": None})
    of = {"item_id": "u", "content_index": 0}
    _, seen, _ = await talk(
        {"type": "conversation.item.created", "item": user},
        {"type": f"{kind}.delta", "text": "", "stash": "What", **of},
        {"type": f"{kind}.delta", "text": "", "stash": "What is", **of},
        {"type": f"{kind}.text", "text": "What is", "stash": " it", **of},
    )
    deltas = [event.delta for event in seen if event.type == "transcript_delta"]
    assert deltas == ["What", " is", " it"]
    assert not [event for event in seen if event.type == "error"]


@pytest.mark.parametrize("name", ["pcm", "pcm16", "pcm24"])
async def test_a_name_of_pcm_has_the_rate_that_was_asked_for(name: str):
    formats = {"input_audio_format": name, "output_audio_format": name}
    _, seen, _ = await talk({"type": "session.updated", "session": formats})
    assert seen == []


async def test_a_format_that_is_not_specified_is_none():
    audio = {"output": {"format": {"type": "not specified"}}, "input": {"format": {"type": ""}}}
    _, seen, _ = await talk({"type": "session.updated", "session": {"audio": audio}})
    assert seen == []
