"""A spoken question over a real socket: the server's detector of turns, the recogniser, a voice."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect

from stapes.devserver import DevServer
from stapes.devserver.voices import offline_voice

if TYPE_CHECKING:
    from stapes.devserver.listening import ListeningMind

ROOM = bytes(48_000)


async def ask(server: DevServer, session: dict[str, Any], sound: bytes) -> list[dict[str, Any]]:
    """Send a session's config and sound; return the events up to the end of the response."""
    events: list[dict[str, Any]] = []
    async with connect(server.url, additional_headers={"Authorization": "Bearer x"}) as socket:
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        for start in range(0, len(sound), 9_600):
            piece = base64.b64encode(sound[start : start + 9_600]).decode()
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": piece}))
        async with asyncio.timeout(60):
            while not events or events[-1]["type"] != "response.done":
                events.append(json.loads(await socket.recv()))
    return events


def one(events: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (event,) = (event for event in events if event["type"] == kind)
    return event


async def test_a_spoken_question_becomes_a_call_and_another_question_another(
    mind: ListeningMind, front_desk: Any, definitions: Any, question: Any
) -> None:
    agent = front_desk.agent
    session = {
        "type": "realtime",
        "instructions": agent.instructions,
        "tools": definitions(agent),
        "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
    }
    async with DevServer(mind, offline_voice()) as server:
        paris = await ask(server, session, question("1-weather.wav") + ROOM)
        tokyo = await ask(server, session, question("other-city.wav") + ROOM)
        spoken = await ask(server, session, question("5-door-code.wav") + ROOM)
    heard = one(paris, "conversation.item.input_audio_transcription.completed")
    assert "weather in paris" in heard["transcript"]
    calls = [one(events, "response.function_call_arguments.done") for events in (paris, tokyo)]
    assert [json.loads(call["arguments"]) for call in calls] == [
        {"city": "Paris"},
        {"city": "Tokyo"},
    ]
    assert "4711" in one(spoken, "response.output_audio_transcript.done")["transcript"]
    assert any(event["type"] == "response.output_audio.delta" for event in spoken)
