"""A user's turn that the server could not transcribe becomes an event."""

from __future__ import annotations

from typing import Any

import pytest

from stapes import Error, RealtimeAgent, RealtimeSession, ServerError, TranscriptionFailed
from stapes.testing import ScriptedServer, settle

KEY = "sk-test-0123456789abcdef"
FAILED = "conversation.item.input_audio_transcription.failed"


async def events_of(*frames: dict[str, Any]) -> list[Any]:
    async with ScriptedServer() as server:
        session = RealtimeSession(RealtimeAgent(name="Front desk"), api_key=KEY)
        seen: list[Any] = []
        session.on("*", seen.append)
        await session.connect(url=server.url)
        for frame in frames:
            await server.send(frame)
        await settle(session, server)
        await session.close()
        return [event for event in seen if isinstance(event, TranscriptionFailed | Error)]


async def test_the_event_says_which_part_failed_and_why():
    # As recorded of Azure OpenAI, for a transcription model that is no deployment.
    error = {
        "type": "server_error",
        "code": "DeploymentNotFound",
        "message": "Input transcription failed for item 'item_1'.",
        "param": None,
    }
    [event, told] = await events_of(
        {"type": FAILED, "event_id": "e", "item_id": "item_1", "content_index": 2, "error": error}
    )
    assert event == TranscriptionFailed(
        "item_1", 2, "Input transcription failed for item 'item_1'.", "DeploymentNotFound"
    )
    assert event.type == "transcription_failed"
    # Who listens for errors alone hears of it as well, once.
    assert isinstance(told, Error)
    assert isinstance(told.error, ServerError)
    assert told.error.code == "DeploymentNotFound"
    assert "Input transcription failed for item 'item_1'." in str(told.error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "the server gives no reason"),
        ({}, "the server gives no reason"),
        ({"code": 7, "message": None}, "the server gives no reason"),
        ("just text", "just text"),
        ({"message": ""}, "the server gives no reason"),
    ],
)
async def test_an_error_that_says_less_is_an_event_all_the_same(error: Any, reason: str):
    [event, told] = await events_of({"type": FAILED, "item_id": "item_1", "error": error})
    assert isinstance(event, TranscriptionFailed)
    assert (event.item_id, event.content_index, event.code) == ("item_1", 0, None)
    assert event.message == reason
    assert str(told.error) == f"the transcription of item item_1 failed: {reason}"


async def test_without_an_item_it_is_an_error_of_the_protocol():
    [event] = await events_of({"type": FAILED, "error": {"message": "no"}})
    assert isinstance(event, Error)
    assert "without an item_id" in str(event.error)


async def test_a_key_that_the_server_quotes_is_masked():
    [event, told] = await events_of(
        {"type": FAILED, "item_id": "i", "error": {"message": f"the key {KEY} is not known"}}
    )
    assert event.message == "the key *** is not known"
    assert KEY not in str(told.error)


async def test_nobody_gets_it_who_did_not_ask_for_it():
    async with ScriptedServer() as server:
        session = RealtimeSession(RealtimeAgent(name="Front desk"), api_key=KEY)
        seen: list[Any] = []
        session.on("transcript_delta", seen.append)
        await session.connect(url=server.url)
        await server.send({"type": FAILED, "item_id": "i", "error": {}})
        await settle(session, server)
        await session.close()
        assert seen == []
