"""Conversations with real providers, as they were recorded, played to a session again.

The session has the provider's profile, and its user does what the recorded client's did.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from agents import FunctionTool
from openai.types.realtime import RealtimeClientEvent
from pydantic import BaseModel, TypeAdapter

from stapes import MessageItem, RealtimeAgent, RealtimeSession
from stapes.items import FunctionCallItem, OutputAudio, OutputText
from stapes.testing import ScriptedServer, settle
from tests.providers import accents
from tests.recordings.recorded import (
    name_of,
    needs_recordings,
    provider_of,
    recordings,
    settings_of,
    steps,
)

if TYPE_CHECKING:
    from pathlib import Path

    from stapes.providers import Provider

GA_EVENTS: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
EVENT_KEYS = {
    "session.update": {"session"},
    "input_audio_buffer.append": {"audio"},
    "input_audio_buffer.commit": set(),
    "conversation.item.create": {"item", "previous_item_id", "event_id"},
    "conversation.item.truncate": {"item_id", "content_index", "audio_end_ms", "event_id"},
    "response.create": {"response", "event_id"},
    "response.cancel": {"response_id"},
}
"""What the providers' references say that events have, besides their type."""
ITEM_KEYS = {
    "message": {"id", "type", "role", "content"},
    "function_call_output": {"id", "type", "call_id", "output"},
}


@dataclass
class Expected:
    """What the recorded events say of the conversation."""

    spoken: dict[str, str] = field(default_factory=dict)
    """Of each answer, what it says."""
    calls: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Of each function call, its name and arguments."""
    heard: dict[str, str] = field(default_factory=dict)
    """Of each turn of the user, its transcript."""
    sound: bytes = b""
    tokens: int = 0
    failures: int = 0
    """Turns of the user that the provider could not transcribe."""

    def takes(self, event: dict[str, Any]) -> None:
        """The provider said this; it is read with no code of the package."""
        kind = event["type"].replace("response.output_", "response.")
        if kind == "response.audio.delta":
            self.sound += base64.b64decode(event["delta"])
        elif kind == "response.audio.done":
            # Half a sample at the end of an answer is none.
            self.sound = self.sound[: len(self.sound) // 2 * 2]
        elif kind == "conversation.item.input_audio_transcription.failed":
            self.failures += 1
        elif kind == "conversation.item.input_audio_transcription.completed":
            self.heard[event["item_id"]] = event["transcript"]
            self.tokens += (event.get("usage") or {}).get("total_tokens", 0)
        elif kind == "response.done":
            self.ended(event)

    def ended(self, event: dict[str, Any]) -> None:
        """A response has ended."""
        response = event["response"]
        usage = response.get("usage") or event.get("usage") or {}
        self.tokens += usage.get("total_tokens", 0)
        for item in response.get("output", ()):
            if item["type"] == "function_call":
                self.calls[item["call_id"]] = (item["name"], item["arguments"])
            elif item["type"] == "message":
                parts = item["content"]
                self.spoken[item["id"]] = "".join(
                    part.get("transcript") or part.get("text") or "" for part in parts
                )


def _said(item: MessageItem) -> str:
    texts = []
    for part in item.content:
        match part:
            case OutputAudio(transcript=transcript):
                texts.append(transcript or "")
            case OutputText(text=text):
                texts.append(text)
            case _:
                pass
    return "".join(texts)


class Client:
    """Does with a session what the recorded client did."""

    def __init__(self, path: Path, said: list[tuple[str, dict[str, Any]]]) -> None:
        self.provider = provider_of(path)
        sent = [event for direction, event in said if direction == "sent"]
        created = [event["item"] for event in sent if event["type"] == "conversation.item.create"]
        outputs = [item["output"] for item in created if item["type"] == "function_call_output"]
        first = next((e["session"] for e in sent if e["type"] == "session.update"), {})
        tools = [self._tool(tool, outputs) for tool in first.get("tools", ())]
        modalities = first.get("output_modalities") or first.get("modalities") or ["audio"]
        config: Any = {"output_modalities": ["text"]} if modalities == ["text"] else {}
        if "reasoning" in first:
            config["reasoning"] = first["reasoning"]
        agent = RealtimeAgent(
            name="Recorded", instructions=first.get("instructions") or "Be brief.", tools=tools
        )
        self.session: RealtimeSession[Any] = RealtimeSession(
            agent, api_key="test", reconnect=None, provider=self.provider, config=config
        )

    @staticmethod
    def _tool(tool: dict[str, Any], outputs: list[str]) -> FunctionTool:
        async def give(_context: Any, _arguments: str) -> str:
            return outputs.pop(0)

        return FunctionTool(
            name=tool["name"],
            description=tool.get("description", ""),
            params_json_schema=tool["parameters"],
            on_invoke_tool=give,
            strict_json_schema=False,
        )

    def does(self, event: dict[str, Any]) -> None:
        """The same as that event, by the session's methods; tools answer by themselves."""
        match event:
            case {"type": "conversation.item.create", "item": {"role": "user", "content": parts}}:
                self.session.send_message(parts, trigger_response=False)
            case {"type": "input_audio_buffer.append", "audio": audio}:
                # What is kept of it may end in the middle of a sample.
                sound = base64.b64decode(audio)
                self.session.send_audio(sound[: len(sound) // 2 * 2])
            case {"type": "response.create"} if not self._has_answered:
                self.session.request_response()

    @property
    def _has_answered(self) -> bool:
        return any(isinstance(item, FunctionCallItem) for item in self.session.history)


def _unknown_to_openai(model: Any, where: str) -> list[str]:
    """The fields of an event that OpenAI's own types do not know."""
    if isinstance(model, list):
        return [name for item in model for name in _unknown_to_openai(item, where)]
    if not isinstance(model, BaseModel):
        return []
    found = [f"{where}.{name}" for name in model.model_extra or ()]
    for name in type(model).model_fields:
        found += _unknown_to_openai(getattr(model, name), f"{where}.{name}")
    return found


def _check_sent(events: list[dict[str, Any]], provider: Provider) -> None:
    """Nothing may be sent that the provider does not know."""
    for event in events:
        kind = event["type"]
        assert set(event) - {"type"} <= EVENT_KEYS[kind], event
        if kind == "session.update":
            assert accents.paths(event["session"]) <= settings_of(provider)
        if kind == "conversation.item.create":
            assert set(event["item"]) <= ITEM_KEYS[event["item"]["type"]]
        if settings_of(provider) is accents.GA_KEYS:
            read = GA_EVENTS.validate_json(json.dumps(event))
            assert type(read).model_fields["type"].annotation.__args__ == (kind,)
            assert _unknown_to_openai(read, kind) == []


@needs_recordings
@pytest.mark.parametrize("path", recordings(), ids=name_of)
async def test_a_recorded_conversation_comes_out_as_it_was(path: Path):
    said = steps(path)
    client = Client(path, said)
    session, expected = client.session, Expected()
    sound = bytearray()
    errors: list[Any] = []
    session.on("audio", lambda event: sound.extend(event.data))
    session.on("error", errors.append)
    at = next(index for index, (direction, _) in enumerate(said) if direction == "received")
    async with ScriptedServer(first_event=said[at][1]) as server:
        await session.connect(url=server.url)
        for direction, event in said[at + 1 :]:
            if direction == "received":
                expected.takes(event)
                await server.send(event)
            else:
                await settle(session, server)
                client.does(event)
        await settle(session, server)
        history = {item.item_id: item for item in session.history}
        answers = {
            item.item_id: _said(item)
            for item in session.history
            if isinstance(item, MessageItem) and item.role == "assistant"
        }
        calls = {
            item.call_id: (item.name, item.arguments)
            for item in session.history
            if isinstance(item, FunctionCallItem)
        }
        assert {name: answers.get(name) for name in expected.spoken} == expected.spoken
        assert {name: calls.get(name) for name in expected.calls} == expected.calls
        for name, transcript in expected.heard.items():
            parts = history[name].content
            assert "".join(part.transcript or "" for part in parts) == transcript
        assert bytes(sound) == expected.sound
        assert session.usage.total_tokens == expected.tokens
        texts = [str(error.error) for error in errors]
        failed = [text for text in texts if "transcription of item" in text]
        assert len(failed) == expected.failures
        assert [text for text in texts if text not in failed] == []
        _check_sent(server.received, client.provider)
        outputs = [
            event["item"]["output"]
            for event in server.received
            if event["type"] == "conversation.item.create"
            and event["item"]["type"] == "function_call_output"
        ]
        recorded = [
            event["item"]["output"]
            for direction, event in said
            if direction == "sent" and event.get("item", {}).get("type") == "function_call_output"
        ]
        assert outputs == recorded
        await session.close()
