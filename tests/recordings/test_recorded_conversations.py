"""Conversations with real providers, as they were recorded, played to a session again.

STAPES_RECORDINGS names the folder that has them; they are data of others and not part of the
repository.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from stapes import MessageItem, RealtimeAgent, RealtimeSession
from stapes.items import FunctionCallItem, OutputAudio, OutputText
from stapes.testing import ScriptedServer, settle

FOLDER = os.environ.get("STAPES_RECORDINGS", "")


def _recordings() -> list[Path]:
    """The files that have messages of a WebSocket."""
    if not FOLDER:
        return []
    return [path for path in sorted(Path(FOLDER).glob("*/*.yaml")) if _messages(path)]


def _messages(path: Path) -> list[dict[str, Any]]:
    recording = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        step["data"]
        for step in recording["interactions"]
        if step.get("kind") == "message" and step["direction"] == "received"
    ]


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

    @classmethod
    def of(cls, events: list[dict[str, Any]]) -> Expected:
        """Reads them, with no code of the package."""
        expected = cls()
        for event in events:
            kind = event["type"].replace("response.output_", "response.")
            if kind == "response.audio.delta":
                expected.sound += base64.b64decode(event["delta"])
            elif kind == "response.audio.done":
                # Half a sample at the end of an answer is none.
                expected.sound = expected.sound[: len(expected.sound) // 2 * 2]
            elif kind == "conversation.item.input_audio_transcription.failed":
                expected.failures += 1
            elif kind == "conversation.item.input_audio_transcription.completed":
                expected.heard[event["item_id"]] = event["transcript"]
                expected.tokens += (event.get("usage") or {}).get("total_tokens", 0)
            elif kind == "response.done":
                expected.ended(event)
        return expected

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


@pytest.mark.skipif(not FOLDER, reason="STAPES_RECORDINGS names no folder with recordings")
@pytest.mark.parametrize("path", _recordings(), ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_conversation_comes_out_as_it_was(path: Path):
    events = _messages(path)
    expected = Expected.of(events)
    sound = bytearray()
    errors: list[Any] = []
    agent = RealtimeAgent(name="Recorded", instructions="Be brief.")
    async with ScriptedServer(first_event=None) as server:
        session = RealtimeSession(agent, api_key="test", reconnect=None)
        session.on("audio", lambda event: sound.extend(event.data))
        session.on("error", errors.append)
        server.begin_with(events[0])
        await session.connect(url=server.url)
        for event in events[1:]:
            await server.send(event)
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
        # The tools of the recording are not there.
        texts = [str(error.error) for error in errors]
        failed = [text for text in texts if "transcription of item" in text]
        assert len(failed) == expected.failures
        assert [text for text in texts if text not in failed and "tool" not in text.lower()] == []
        await session.close()
