"""What a test sees of a call: events come here, and go to the turn that they belong to."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from stapes.events import (
    AgentEnd,
    AgentHandoff,
    AgentStart,
    AgentToolEnd,
    AgentToolStart,
    Audio,
    AudioInterrupted,
    ConnectionChanged,
    Error,
    GuardrailTripped,
    ResponseDone,
    ToolApprovalRequested,
    TranscriptDelta,
    TransportEvent,
)
from stapes.session.guardrails import guardrail_name
from stapes.testing.agent_turn import AgentTurn, ToolUse, parsed_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.events import SessionEvent
    from stapes.session import RealtimeSession
    from stapes.testing.ear import Ear

__all__ = ["Witness"]

_LOOK_S = 0.01


class Witness:
    """Sees the events of one session.

    Attributes:
        events: all but audio and raw ones, in order.
        turns: the turns of the call.
        current: the turn that what happens belongs to.
        begun: set when an answer begins.
        speech_stopped: set when the server has heard the end of what the user says.
        lost: how the connection ended, if it did.

    Args:
        session: whose events they are.
        ear: hears what comes.
        sample_bytes: tells the bytes of a sample of an answer that comes.
    """

    def __init__(
        self, session: RealtimeSession[Any], ear: Ear, sample_bytes: Callable[[], int]
    ) -> None:
        self.events: list[SessionEvent] = []
        self.turns: list[AgentTurn] = []
        self.current: AgentTurn | None = None
        self.begun = asyncio.Event()
        self.speech_stopped = asyncio.Event()
        self.lost: ConnectionChanged | None = None
        self._rejected: set[str] = set()
        self._session = session
        self._ear = ear
        self._sample_bytes = sample_bytes
        self._bytes_of: tuple[str | None, int] = (None, 2)
        self._owner: dict[str, AgentTurn] = {}
        self._moved = asyncio.Event()
        session.on("*", self._see)
        session.on("audio", self._hear)
        session.on("transport_event", self._watch)
        session.probe.tap_decisions(self._decided)

    @property
    def lost_why(self) -> str | None:
        """Why the connection was lost, in words; `None` where it was not."""
        if self.lost is None or self.lost.error is None:
            return None
        return str(self.lost.reason or self.lost.error)

    def is_of(self, response_id: str, turn: AgentTurn) -> bool:
        """Whether a response belongs to a turn."""
        return self._owner.get(response_id) is turn

    def forget(self, turn: AgentTurn) -> None:
        """Hear no more of a turn."""
        for response_id, owner in self._owner.items():
            if owner is turn:
                self._ear.forget(response_id)

    def note(self, turn: AgentTurn) -> None:
        """Take over what the history says of a turn."""
        history = self._session.history
        turn.note_heard({item.item_id: item.text for item in history if item.type == "message"})
        turn.interrupted |= bool(turn.guardrails) and turn.heard != turn.said

    async def move(self) -> None:
        """Wait until something has happened, or a little while."""
        self._moved.clear()
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._moved.wait()
        except TimeoutError:
            return

    def _see(self, event: SessionEvent) -> None:
        if isinstance(event, Audio):
            return
        self.events.append(event)
        self._moved.set()
        turn = self.current
        match event:
            case ConnectionChanged(status="disconnected"):
                self.lost = event
            case ConnectionChanged(status="connected"):
                self.lost = None
            case AgentStart(response_id=str(response_id)) if turn is not None:
                self._owner[response_id] = turn
                self.begun.set()
                self._ear_goes_on(turn)
            case TranscriptDelta(role="assistant"):
                self._read(event)
            case TranscriptDelta(role="user") if turn is not None and turn.user_is_heard:
                turn.user += event.delta
            case AgentEnd() | ResponseDone():
                self._ear.ended(str(event.response_id))
            case AudioInterrupted(response_id=response_id):
                self._cut(response_id)
            case AgentToolStart(tool_call=made) if turn is not None:
                arguments = parsed_arguments(made.arguments)
                use = ToolUse(made.name, arguments, None, event.agent.name, made.call_id)
                use.rejected = made.call_id in self._rejected
                turn.tools.append(use)
            case AgentToolEnd(tool_call=made):
                for use in (use for one in self.turns for use in one.tools):
                    if use.call_id == made.call_id:
                        use.output = event.result
            case AgentHandoff(to_agent=agent) if turn is not None:
                turn.handoffs.append(agent.name)
            case ToolApprovalRequested(approval=ask) if turn is not None:
                turn.approvals.append(ask)
            case GuardrailTripped(error=tripped) if turn is not None:
                turn.guardrails.append(guardrail_name(tripped.guardrail_result.guardrail))
            case Error(error=error) if turn is not None:
                turn.errors.append(error)
            case _:
                pass

    def _decided(self, call_id: str, approved: bool) -> None:
        if not approved:
            self._rejected.add(call_id)
        for turn in self.turns:
            if any(ask.call_id == call_id for ask in turn.approvals):
                # Whoever goes through the list to decide has the old one.
                turn.approvals = [ask for ask in turn.approvals if ask.call_id != call_id]

    def _ear_goes_on(self, turn: AgentTurn) -> None:
        if self.turns and self.current is self.turns[-1] is turn:
            self._ear.go_on()

    def _read(self, event: TranscriptDelta) -> None:
        turn = self._turn_of(event.response_id)
        if turn is None:
            return
        if turn.first_text_at is None:
            turn.first_text_at = time.perf_counter()
        turn.add(event.item_id, event.delta)
        response_id = event.response_id or ""
        self._ear.words(event.item_id, event.content_index, response_id, event.delta)

    def _hear(self, event: Audio) -> None:
        self._moved.set()
        turn = self._turn_of(event.response_id)
        if turn is not None and turn.first_audio_at is None:
            turn.first_audio_at = time.perf_counter()
        if self._bytes_of[0] != event.response_id:
            # The server has taken the session's settings by the time that it answers.
            self._bytes_of = (event.response_id, self._sample_bytes())
        samples = len(event.data) / self._bytes_of[1]
        ms = samples * 1000 / self._session.output_sample_rate
        self._ear.sound(event.item_id, event.content_index, event.response_id, ms)

    def _watch(self, event: TransportEvent) -> None:
        if event.event.get("type") == "input_audio_buffer.speech_stopped":
            self.speech_stopped.set()
            if self.current is not None and self.current.ended_at is None:
                self.current.ended_at = time.perf_counter()

    def _cut(self, response_id: str) -> None:
        turn = self._turn_of(response_id)
        if turn is not None:
            turn.interrupted = True
            self.note(turn)
        self._ear.forget(response_id)

    def _turn_of(self, response_id: str | None) -> AgentTurn | None:
        return self._owner.get(response_id or "", self.current)
