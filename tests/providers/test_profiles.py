"""A whole conversation by each profile, with a server that speaks its dialect on a real socket."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool

from stapes import (
    AgentHandoff,
    Audio,
    AudioInterrupted,
    Error,
    RealtimeAgent,
    ReconnectPolicy,
    SessionRestored,
)
from stapes.providers import (
    BETA,
    XAI,
    Azure,
    AzureVoiceLive,
    ElevenLabs,
    Inworld,
    Local,
    OpenAI,
    Provider,
    Qwen,
)
from tests.providers import accents
from tests.providers.dialling import dials

if TYPE_CHECKING:
    from tests.providers.accents import Accent
    from tests.talk import Talk, Talks

SOUND = bytes(range(250)) * 192
"""A second of PCM at 24 kHz."""
BEARER = {"authorization": "Bearer key"}
AZURE_KEY = {"api-key": "key"}


@dataclass(frozen=True)
class Case:
    """A profile, how its server speaks, and how it recognises the client."""

    provider: Provider
    accent: Accent
    headers: dict[str, str] = field(default_factory=lambda: BEARER)


CASES = {
    "openai": Case(OpenAI(), accents.GA),
    "azure": Case(Azure(resource="contoso", deployment="d"), accents.GA, AZURE_KEY),
    "azure-voice-live": Case(
        AzureVoiceLive(resource="contoso", model="m"), accents.VOICE_LIVE, AZURE_KEY
    ),
    "xai": Case(XAI(), accents.XAI),
    "xai that truncates": Case(XAI(truncates=True), accents.XAI),
    "xai in binary frames": Case(XAI(binary_audio=True), accents.XAI_BINARY),
    "qwen": Case(Qwen(), accents.QWEN),
    "elevenlabs": Case(ElevenLabs(), accents.GA, {"xi-api-key": "key"}),
    "inworld": Case(Inworld(), accents.GA, {"authorization": "Basic key"}),
    "local": Case(Local(), accents.GA),
    "local in the beta": Case(Local(dialect=BETA), accents.BETA),
}


@function_tool
async def hours(day: str) -> str:
    """When it is open."""
    return f"{day}: nine to five"


BILLING = RealtimeAgent(name="Billing", instructions="You do bills.", tools=[hours])


class Story:
    """A conversation by one profile, step by step."""

    def __init__(self, case: Case, talk: Talk) -> None:
        self.case, self.talk = case, talk
        self.accent, self.can = case.accent, case.provider.capabilities

    async def says(self, *events: Any) -> None:
        await self.talk.says(*events)

    def sessions(self) -> list[dict[str, Any]]:
        """The configurations that the server was given, tracing apart."""
        updates = [message["session"] for message in self.talk.sent("session.update")]
        return [update for update in updates if "instructions" in update]

    def check_session(self, session: dict[str, Any], instructions: str) -> None:
        """What the server reads must be in its own shape, and nothing that it does not know."""
        assert accents.paths(session) <= self.accent.keys
        assert session["instructions"].startswith(instructions)
        offered = self.case.provider.input_audio.usual["rate"]
        if self.accent.beta:
            name = self.accent.pcm or "pcm16"
            assert (session["input_audio_format"], session["output_audio_format"]) == (name, name)
            assert session["modalities"] == ["text", "audio"]
            detection, voice = session["turn_detection"], session["voice"]
            if "input_audio_sampling_rate" in self.accent.keys:
                assert session["input_audio_sampling_rate"] == offered
        else:
            heard, made = session["audio"]["input"], session["audio"]["output"]
            assert heard["format"] == {"type": "audio/pcm", "rate": offered}
            top = session if self.accent.bare else {**heard, **made}
            detection, voice = top["turn_detection"], top["voice"]
        assert detection == self.case.provider.defaults.turn_detection
        assert voice == "Ara"
        for tool in session["tools"]:
            function = tool["function"] if self.accent.nested_tools else tool
            assert function["parameters"]["type"] == "object"
            assert set(tool) <= ({"type", "function"} if self.accent.nested_tools else set(tool))

    async def connects(self) -> None:
        await self.says(*self.accent.follows())
        headers = self.talk.server.handshakes[0].headers
        assert {name: headers.get(name) for name in self.case.headers} == self.case.headers
        [session] = self.sessions()
        self.check_session(session, "x")
        traced = [m for m in self.talk.sent("session.update") if "tracing" in m["session"]]
        assert len(traced) == self.can.traces

    async def hears(self) -> None:
        """The user speaks at 24 kHz, whatever the provider takes."""
        for _ in range(10):
            self.talk.session.send_audio(SOUND[:4800], sample_rate=24_000)
        await self.talk.settle()
        sent = [base64.b64decode(m["audio"]) for m in self.talk.sent("input_audio_buffer.append")]
        frames = [m for m in self.talk.server.received if isinstance(m, bytes)]
        assert bool(frames) == self.accent.binary != bool(sent)
        sent += frames
        rate = self.case.provider.input_audio.usual["rate"]
        length, expected = len(b"".join(sent)), rate * 2
        assert abs(length - expected) < expected / 20
        await self.says(*self.accent.user("item_u", "When is it open?", None))

    async def is_interrupted(self) -> None:
        """A second of an answer comes, and the user speaks after 300 ms of it."""
        words = "We open at nine in the morning and close at five."
        await self.says(self.accent.starts("resp_1"))
        await self.says(*self.accent.speaks("resp_1", "item_a", words, SOUND))
        heard = [event.data for event in self.talk.seen(Audio)]
        assert b"".join(heard) == SOUND
        self.talk.clock.advance(0.3)
        await self.says({"type": "input_audio_buffer.speech_started", "audio_start_ms": 2000})
        assert len(self.talk.seen(AudioInterrupted)) == 1
        assert self.talk.cancelled() == ["resp_1" if self.can.cancels_by_id else None]
        assert self.talk.cuts() == ([("item_a", 300)] if self.can.truncates else [])
        await self.says(*self.accent.has_spoken("resp_1", "item_a", words, "cancelled"))
        said = self.talk.heard()["item_a"]
        assert said
        assert words.startswith(said)
        assert len(said) < len(words)

    async def calls_a_tool(self) -> None:
        await self.says(self.accent.starts("resp_2"))
        await self.says(*self.accent.calls("resp_2", "item_f", "hours", '{"day": "Monday"}'))
        assert self.talk.outputs() == ["Monday: nine to five"]
        assert len(self.talk.sent("response.create")) == 1

    async def hands_over(self) -> None:
        await self.says(self.accent.starts("resp_3"))
        await self.says(*self.accent.calls("resp_3", "item_h", "transfer_to_Billing", "{}"))
        assert len(self.talk.seen(AgentHandoff)) == 1
        self.check_session(self.sessions()[-1], "You do bills.")
        assert len(self.talk.sent("response.create")) == 2
        await self.says(self.accent.starts("resp_4"))
        await self.says(*self.accent.speaks("resp_4", "item_b", "Hello.", SOUND[:4800]))
        await self.says(*self.accent.has_spoken("resp_4", "item_b", "Hello."))
        await self.talk.after(1)

    async def reconnects(self) -> None:
        """The connection is lost, and the server is told what it has to know, in its own words."""
        before = list(self.talk.session.history)
        seen = len(self.talk.server.received)
        self.talk.server.terminate()
        await self.talk.settle()
        if self.can.resumes_by:
            # The server has another conversation than it was asked for.
            await dials(self.talk)
            await self.says(*self.accent.follows("conv_2"))
        else:
            await self.talk.after(5)
        assert self.talk.session.status == "connected"
        told = self.talk.server.received[seen:]
        session = next(m["session"] for m in told if m["type"] == "session.update")
        self.check_session(session, "You do bills.")
        items = [m["item"] for m in told if m["type"] == "conversation.item.create"]
        lines = ["When is it open?", self.talk.heard()["item_a"], "Hello."]
        if not self.can.messages:
            assert items == []
            text = session["instructions"]
            places = [text.index(line) for line in (*lines, "It gave: Monday: nine to five")]
            assert places[:3] == sorted(places[:3])
        else:
            assert session["instructions"] == "You do bills."
            messages = [item for item in items if item["type"] == "message"]
            texts = [part["text"] for item in messages for part in item["content"]]
            assert [text for text in texts if text in lines] == lines
            kinds = {
                part["type"]
                for item in messages
                if item["role"] == "assistant"
                for part in item["content"]
            }
            writes_beta = self.case.provider.dialect.beta_parts
            assert kinds == {"text" if writes_beta else "output_text"}
            outputs = [item["output"] for item in items if item["type"] == "function_call_output"]
            assert "Monday: nine to five" in outputs
            for item in items:
                await self.says(*self.accent.item({"status": "completed", **item}, "root"))
        assert len(self.talk.seen(SessionRestored)) == 1
        assert list(self.talk.session.history) == before


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
async def test_a_conversation_by_a_profile(case: Case, talks: Talks):
    talks.server.begin_with(case.accent.begins())
    talk = await talks.begin(
        hours,
        handoffs=[BILLING],
        provider=case.provider,
        config={"audio": {"output": {"voice": "Ara"}}},
        reconnect=ReconnectPolicy(first_delay=5),
    )
    story = Story(case, talk)
    await story.connects()
    await story.hears()
    await story.is_interrupted()
    await story.calls_a_tool()
    await story.hands_over()
    await story.reconnects()
    assert talk.seen(Error) == []
    assert talk.session.usage.total_tokens == 28
    events = [message for message in talk.server.received if not isinstance(message, bytes)]
    assert all(json.dumps(message) for message in events)
