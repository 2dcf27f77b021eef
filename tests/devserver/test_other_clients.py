"""Clients that are not ours hold the same conversation: `openai` and `openai-agents`."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from openai import AsyncOpenAI
from wire_client import check, silence, spoken

from stapes.devserver import Call, DevServer, ScriptedMind, Turn

SECONDS = 10.0
DESK = ScriptedMind(
    [
        Turn(when="weather", say="Let me look.", call=Call("get_weather", {"city": "Oslo"})),
        Turn(after="get_weather", say="It is {output} in Oslo."),
        Turn(when="invoice", call=Call("transfer_to_billing", {})),
        Turn(after="transfer_to_billing", say="Billing speaking."),
        Turn(when="story", say="once upon a time " * 40),
        Turn(when="enough", say="All right."),
    ],
    hears=["what is the weather", "I have a question about an invoice", "tell a story", "enough"],
)


@pytest.fixture
async def desk(run):
    """A server whose every event of the test fits `openai`'s types."""
    server: DevServer = await run(DESK, pace=30.0)
    yield server
    for call in server.calls:
        assert len(call.sent) > 0
        for event in call.sent:
            check(json.dumps(event))
        assert call.sent.of("error") == []


async def test_openai_holds_a_spoken_conversation_with_a_tool(desk):
    client = AsyncOpenAI(api_key="key", base_url=desk.http_url)
    async with (
        asyncio.timeout(SECONDS),
        client.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}},
                "tools": [{"type": "function", "name": "get_weather", "parameters": {}}],
            }
        )
        sound = silence(300) + await spoken("What is the weather?") + silence(700)
        for start in range(0, len(sound), 4_800):
            piece = base64.b64encode(sound[start : start + 4_800]).decode()
            await connection.input_audio_buffer.append(audio=piece)
        transcripts, answers, audio = [], [], bytearray()
        async for event in connection:
            match event.type:
                case "conversation.item.input_audio_transcription.completed":
                    transcripts.append(event.transcript)
                case "response.output_audio.delta":
                    audio += base64.b64decode(event.delta)
                case "response.output_audio_transcript.done":
                    answers.append(event.transcript)
                case "response.function_call_arguments.done":
                    call_id = event.call_id
                case "response.done":
                    if len(answers) == 2:
                        break
                    await connection.conversation.item.create(
                        item={
                            "type": "function_call_output",
                            "call_id": call_id,
                            "output": "sunny",
                        }
                    )
                    await connection.response.create()
    assert transcripts == ["what is the weather"]
    assert answers == ["Let me look.", "It is sunny in Oslo."]
    assert len(audio) > 48 * 1_000


async def test_openai_writes_reads_cuts_and_deletes(desk):
    client = AsyncOpenAI(api_key="key", base_url=desk.http_url)
    async with (
        asyncio.timeout(SECONDS),
        client.realtime.connect(model="gpt-realtime-2.1") as connection,
    ):
        content: Any = [{"type": "input_text", "text": "enough"}]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        await connection.response.create()
        async for event in connection:
            if event.type == "response.done":
                item_id = event.response.output[0].id
                await connection.conversation.item.truncate(
                    item_id=item_id, content_index=0, audio_end_ms=200
                )
                await connection.conversation.item.retrieve(item_id=item_id)
                await connection.conversation.item.delete(item_id=item_id)
            if event.type == "conversation.item.retrieved":
                assert len(base64.b64decode(event.item.content[0].audio)) == 48 * 200
            if event.type == "conversation.item.deleted":
                break


@function_tool
def get_weather(city: str) -> str:
    """Say how the weather is."""
    return f"sunny for {city}"


class Listener:
    """Reads a session's events, which come in an order that tools may change."""

    def __init__(self, session: RealtimeSession) -> None:
        self.seen: list[Any] = []
        self._events = aiter(session)

    async def until(self, type_: str, count: int = 1) -> Any:
        """Read until so many events of a type have been seen in all, and return the last."""
        async with asyncio.timeout(SECONDS):
            while len(found := self.of(type_)) < count:
                event = await anext(self._events)
                assert event.type != "error", event.error
                self.seen.append(event)
        return found[count - 1]

    def of(self, type_: str) -> list[Any]:
        return [event for event in self.seen if event.type == type_]

    def said(self) -> str:
        """Return the words of the last assistant message of the last history."""
        history = self.of("history_updated")[-1].history
        messages = [item for item in history if getattr(item, "role", "") == "assistant"]
        return messages[-1].content[0].transcript


async def test_openai_agents_runs_a_tool_a_handoff_and_an_interruption(desk):
    billing = RealtimeAgent(name="billing", instructions="You do billing.")
    front = RealtimeAgent(
        name="front",
        instructions="You are the front desk.",
        tools=[get_weather],
        handoffs=[billing],
    )
    runner = RealtimeRunner(front)
    vad = {"type": "server_vad", "interrupt_response": True}
    settings: Any = {"audio": {"input": {"turn_detection": vad}}}
    config: Any = {"api_key": "key", "url": desk.url, "initial_model_settings": settings}
    session: RealtimeSession = await runner.run(model_config=config)
    async with session:
        listener = Listener(session)
        call = await desk.next_call()

        await session.send_audio(await spoken("What is the weather?") + silence(700))
        assert (await listener.until("tool_end")).output == "sunny for Oslo"
        await listener.until("agent_end", 2)
        assert listener.said() == "It is sunny for Oslo in Oslo."

        await session.send_audio(await spoken("I have a question about an invoice.") + silence(700))
        handoff = await listener.until("handoff")
        assert (handoff.from_agent.name, handoff.to_agent.name) == ("front", "billing")
        await listener.until("agent_end", 4)
        assert listener.said() == "Billing speaking."
        assert call.call.session["instructions"] == "You do billing."

        heard = len(listener.of("audio"))
        await session.send_audio(await spoken("Tell a story.") + silence(700))
        await listener.until("audio", heard + 1)
        await session.send_audio(await spoken("Enough of that now.") + silence(700))
        await listener.until("audio_interrupted")
        await listener.until("agent_end", 6)
        assert listener.said() == "All right."
    statuses = [event["response"]["status"] for event in call.sent.of("response.done")]
    assert statuses == ["completed"] * 4 + ["cancelled", "completed"]
    # All speech comes at once, so that earlier answers are cut as well: they still play.
    cut = call.sent.of("conversation.item.truncated")[-1]
    story = call.sent.of("response.done")[4]["response"]["output"][0]
    assert cut["item_id"] == story["id"]
