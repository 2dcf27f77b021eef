"""A call without a session and without time: frames are exchanged and events told by hand."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from stapes.approvals import ToolApproval
from stapes.cli.call.device import frame_bytes
from stapes.cli.call.journal import Journal
from stapes.cli.call.line import Line
from stapes.cli.call.loudspeaker import Loudspeaker
from stapes.cli.call.recording import Recording
from stapes.events import (
    AgentHandoff,
    AgentStart,
    AgentToolEnd,
    AgentToolStart,
    Audio,
    AudioInterrupted,
    GuardrailTripped,
    ResponseDone,
    Timings,
    ToolApprovalRequested,
    ToolCall,
    TranscriptDelta,
    TransportEvent,
)

MICROPHONE_RATE, LOUDSPEAKER_RATE = 16_000, 24_000


def voice(seconds: float, rate: int) -> bytes:
    """A square wave: loud enough to be a voice, and the same everywhere."""
    samples = int(seconds * rate)
    return b"".join(
        (6000 if i // 40 % 2 else -6000).to_bytes(2, "little", signed=True) for i in range(samples)
    )


class SimulatedCall:
    def __init__(self, **line_options: Any) -> None:
        rates: Any = SimpleNamespace(
            microphone_rate=MICROPHONE_RATE, loudspeaker_rate=LOUDSPEAKER_RATE
        )
        self.sent: list[bytes] = []
        self.played: list[tuple[str, int, float]] = []
        self.recording = Recording(MICROPHONE_RATE, LOUDSPEAKER_RATE)
        self.loudspeaker = Loudspeaker(LOUDSPEAKER_RATE, lambda *report: self.played.append(report))
        self.line = Line(
            rates, self.loudspeaker, self.sent.append, recording=self.recording, **line_options
        )
        self.journal = Journal(self.line, "Front desk")
        self._ids = 0

    @property
    def now(self) -> float:
        return self.line.now

    def agent(self, name: str) -> Any:
        return SimpleNamespace(name=name)

    def wait(self, seconds: float) -> None:
        self.say(bytes(int(seconds * MICROPHONE_RATE) * 2))

    def say(self, pcm: bytes) -> None:
        size = frame_bytes(MICROPHONE_RATE)
        for start in range(0, len(pcm), size):
            self.line.exchange(pcm[start : start + size].ljust(size, b"\0"))
            self.journal.listen()

    def ask(self, pcm: bytes, text: str, *, silence: float = 0.5) -> str:
        """The caller speaks, and the server notices both ends of it."""
        item_id = self._id("user")
        heard = frame_bytes(MICROPHONE_RATE) * 15
        self.say(pcm[:heard])
        self.server("input_audio_buffer.speech_started", item_id=item_id)
        if self.loudspeaker.playing:
            self.interrupt()
        self.say(pcm[heard:])
        self.wait(silence)
        self.server("input_audio_buffer.speech_stopped", item_id=item_id)
        self.server(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id,
            transcript=text,
        )
        return item_id

    def answer(
        self, pcm: bytes, text: str, *, agent: str = "Front desk", after: float = 0.1
    ) -> tuple[str, str]:
        """An answer comes faster than it plays: all of it at once."""
        response_id, item_id = self._id("response"), self._id("item")
        speaker = self.agent(agent)
        self.journal.observe(AgentStart(None, speaker, response_id))  # type: ignore[arg-type]
        self.wait(after)
        words = text.split()
        size = len(pcm) // 2 // len(words) * 2
        for index, word in enumerate(words):
            end = None if index == len(words) - 1 else (index + 1) * size
            self.journal.observe(TranscriptDelta("assistant", f"{word} ", item_id, response_id))
            self.journal.observe(Audio(pcm[index * size : end], response_id, item_id))
        self.done(response_id, agent)
        return response_id, item_id

    def done(self, response_id: str, agent: str = "Front desk", status: str = "completed") -> None:
        timings = Timings(0.1, 0.2, 0.3)
        self.journal.observe(
            ResponseDone(self.agent(agent), response_id, status, None, None, timings)
        )

    def hear_out(self, pause: float = 0.6) -> None:
        self.wait(self.loudspeaker.end - self.now + pause)

    def interrupt(self) -> None:
        self.journal.observe(AudioInterrupted(None, self.agent("Front desk")))  # type: ignore[arg-type]

    def tool(
        self, name: str, result: str, *, approval: float | None = None, **arguments: Any
    ) -> None:
        call = ToolCall(self._id("call"), name, json.dumps(arguments), self._id("item"), "r")
        speaker: Any = self.agent("Front desk")
        if approval is not None:
            wish = ToolApproval(
                "function_approval", speaker, name, call.arguments, call.call_id, call.item_id
            )
            self.journal.observe(ToolApprovalRequested(None, speaker, wish))  # type: ignore[arg-type]
            self.wait(approval)
            self.journal.decide(call.call_id, approved=True, by="the demo")
        tool: Any = SimpleNamespace(name=name)
        self.journal.observe(AgentToolStart(None, speaker, tool, call))  # type: ignore[arg-type]
        self.wait(0.04)
        self.journal.observe(AgentToolEnd(None, speaker, tool, result, call))  # type: ignore[arg-type]

    def handoff(self, source: str, target: str) -> None:
        agents: Any = (self.agent(source), self.agent(target))
        self.journal.observe(AgentHandoff(None, *agents))  # type: ignore[arg-type]

    def trip(self, name: str, item_id: str) -> None:
        guardrail = SimpleNamespace(get_name=lambda: name)
        error: Any = SimpleNamespace(guardrail_result=SimpleNamespace(guardrail=guardrail))
        speaker: Any = self.agent("Front desk")
        self.journal.observe(GuardrailTripped(None, speaker, error, item_id))  # type: ignore[arg-type]

    def server(self, kind: str, **fields: Any) -> None:
        self.journal.observe(TransportEvent({"type": kind, **fields}))

    def _id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._ids}"
