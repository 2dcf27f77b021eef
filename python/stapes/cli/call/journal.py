"""The journal of a call: a session's events, set at the times at which they were heard."""

from __future__ import annotations

from bisect import insort
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from stapes.cli.call.entries import (
    AgentSpeech,
    Approval,
    BargeIn,
    CallerSpeech,
    Entry,
    GuardrailTrip,
    Handoff,
    Problem,
    ToolRun,
    Word,
)
from stapes.events import (
    AgentHandoff,
    AgentStart,
    AgentToolEnd,
    AgentToolStart,
    AnyEvent,
    Audio,
    AudioInterrupted,
    AudioStopped,
    ConnectionChanged,
    Error,
    GuardrailTripped,
    ResponseDone,
    ToolApprovalRequested,
    ToolCall,
    TranscriptDelta,
    TransportEvent,
)
from stapes.session.guardrails import guardrail_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stapes.approvals import ToolApproval
    from stapes.cli.call.loudspeaker import Cut, Loudspeaker
    from stapes.cli.call.voice_activity import VoiceActivity

_Kind = TypeVar("_Kind", bound=Entry)

EVENTS: tuple[type[AnyEvent], ...] = (
    AgentHandoff,
    AgentStart,
    AgentToolEnd,
    AgentToolStart,
    Audio,
    AudioInterrupted,
    AudioStopped,
    ConnectionChanged,
    Error,
    GuardrailTripped,
    ResponseDone,
    ToolApprovalRequested,
    TranscriptDelta,
    TransportEvent,
)
"""What a journal reads of a session."""

UNHEARD = "(nothing was understood)"
"""Stands for the words of a caller where the transcript is empty."""

_CHARACTERS_S = 15.0
"""How fast an agent speaks, until it is known."""
_TALKS_S = 1.0
"""A voice that was heard so long ago is the one that a server reports now."""
_TRANSCRIPT_S = 3.0
"""How long the words of a caller are waited for."""


class Hearing(Protocol):
    """What the journal knows of the sound of a call."""

    @property
    def now(self) -> float:
        """The second of the call."""
        ...

    @property
    def caller(self) -> VoiceActivity:
        """When the caller spoke."""
        ...

    @property
    def agent(self) -> VoiceActivity:
        """When the agent was heard."""
        ...

    @property
    def loudspeaker(self) -> Loudspeaker:
        """What the caller hears."""
        ...


class Journal:
    """Keeps what happens in a call, in the order in which it began.

    It also feeds the loudspeaker, since only there is known when something will be heard.

    Args:
        hearing: the sound of the call.
        first_agent: the name of the agent that begins.
        live: whether sound comes as fast as it is played, and words before it. Otherwise they come
            together, and faster.
    """

    def __init__(self, hearing: Hearing, first_agent: str, *, live: bool = False) -> None:
        self.entries: list[Entry] = []
        self.cuts: list[Cut] = []
        self.timings: dict[str, dict[str, float | None]] = {}
        """For each response, when it was created, first gave sound and was done, in seconds since
        the caller's turn ended."""
        self.current_agent = first_agent
        self._hearing = hearing
        self._live = live
        self._responding: set[str] = set()
        self._responses: dict[str, str] = {}
        self._busy_until = 0.0

    def observe(self, event: AnyEvent) -> None:
        """Take the next event of the session."""
        now = self._hearing.now
        match event:
            case Audio():
                self._hear(event)
            case TranscriptDelta(role="assistant"):
                self._words(event)
            case TranscriptDelta(role="user") if speech := self._caller(event.item_id):
                speech.text = f"{speech.text}{event.delta}"
            case AudioInterrupted():
                self._cut(now)
            case AudioStopped() if self._live:
                self._played()
            case AgentStart(response_id=str(response_id)):
                self._responding.add(response_id)
                self._responses[response_id] = event.agent.name
            case ResponseDone():
                self._done(event, now)
            case AgentToolStart(tool_call=call):
                self._tool(call, event.agent.name).started = now
            case AgentToolEnd(tool_call=call):
                run = self._tool(call, event.agent.name)
                run.end, run.result = now, event.result
            case ToolApprovalRequested(approval=wish):
                self._tool(wish, wish.agent.name).approval = Approval(asked=now)
            case AgentHandoff():
                self._add(Handoff(now, event.from_agent.name, event.to_agent.name))
                self.current_agent = event.to_agent.name
            case GuardrailTripped():
                self._trip(event, now)
            case Error():
                where = f" ({event.context})" if event.context else ""
                self._add(Problem(now, f"{event.error or type(event.error).__name__}{where}"))
            case ConnectionChanged(status="disconnected", reason=str(reason)):
                self._add(Problem(now, f"the connection is over: {reason}"))
            case TransportEvent(event=raw):
                self._server(raw, now)
            case _:
                pass
        if not isinstance(event, TransportEvent):
            self._busy_until = now

    def listen(self) -> None:
        """Note where the voice of an answer is heard; call it a few times a second."""
        voice = self._hearing.agent.last
        if voice is None:
            return
        for speech in self.entries[-8:]:
            if isinstance(speech, AgentSpeech) and speech.voiced is None and voice.end >= speech.at:
                speech.voiced = max(voice.start, speech.at)

    def decide(self, call_id: str, *, approved: bool, by: str) -> None:
        """Note a decision on a call that waits for approval."""
        for run in self._of(ToolRun):
            if run.call_id == call_id and run.approval is not None:
                run.approval.answered = self._hearing.now
                run.approval.approved = approved
                run.approval.by = by
                if not approved:
                    run.end = self._hearing.now
                return

    def done(self, entry: Entry) -> bool:
        """Tell whether an entry will not change any more."""
        now = self._hearing.now
        match entry:
            case CallerSpeech():
                if entry.end is None:
                    return False
                return entry.understood or now > entry.end + _TRANSCRIPT_S
            case AgentSpeech():
                return entry.cut is not None or (entry.complete and now >= entry.end)
            case ToolRun():
                return entry.end is not None
            case _:
                return True

    def quiet_for(self) -> float:
        """Return for how many seconds neither side has spoken, worked or waited."""
        now = self._hearing.now
        if self._responding or self._hearing.loudspeaker.playing:
            return 0.0
        if any(not self.done(entry) for entry in self.entries[-8:]):
            return 0.0
        ends = [entry.end for entry in self.entries[-8:] if isinstance(entry, AgentSpeech)]
        return max(0.0, now - max([self._busy_until, *ends]))

    def since(self, moment: float) -> Iterator[Entry]:
        """Give the entries that began at `moment` or later."""
        return (entry for entry in self.entries if entry.at >= moment)

    def _hear(self, event: Audio) -> None:
        speech = self._speech(event.item_id, event.response_id)
        if speech.cut is not None:
            text = f"sound of an answer came {self._hearing.now - speech.end:.2f} s after its cut"
            self._add(Problem(self._hearing.now, text))
            return
        begins = self._hearing.loudspeaker.put(event.item_id, event.content_index, event.data)
        if self._live and speech.end == speech.at:
            self._begin_at(speech, begins)
        speech.end = self._hearing.loudspeaker.end

    def _words(self, event: TranscriptDelta) -> None:
        speech = self._speech(event.item_id, event.response_id or "")
        heard = self._hearing.loudspeaker.end
        if self._live:
            heard = speech.at + len(speech.text) / _CHARACTERS_S
        speech.words.append(Word(event.delta, heard))

    def _speech(self, item_id: str, response_id: str) -> AgentSpeech:
        for speech in self._of(AgentSpeech):
            if speech.item_id == item_id:
                return speech
        begins = self._hearing.loudspeaker.end
        agent = self._responses.get(response_id, self.current_agent)
        speech = AgentSpeech(begins, agent, item_id, response_id, begins)
        before = self._hearing.caller.last_before(begins)
        answers = before is not None and all(
            other.at < before.end for other in self._of(AgentSpeech)
        )
        if before is not None and answers:
            speech.asked = before.end
            speech.waited = self._waited_since(before.end)
        self._add(speech)
        return speech

    def _begin_at(self, speech: AgentSpeech, moment: float) -> None:
        """Set a speech whose words came before its sound to where its sound begins."""
        for word in speech.words:
            word.at += moment - speech.at
        speech.at = speech.end = moment
        self.entries.remove(speech)
        self._add(speech)

    def _played(self) -> None:
        """Note that all sound of what has been generated has come; spread its words over it."""
        for speech in self._of(AgentSpeech):
            if speech.complete or speech.cut is not None or speech.response_id in self._responding:
                continue
            speech.complete = True
            said, length = 0, max(1, len(speech.text))
            for word in speech.words:
                word.at = speech.at + (speech.end - speech.at) * said / length
                said += len(word.text)

    def _waited_since(self, moment: float) -> float:
        """Return for how many seconds a person has been asked for approval."""
        asked = [run.approval for run in self._of(ToolRun) if run.at >= moment and run.approval]
        return sum(wish.answered - wish.asked for wish in asked if wish.answered is not None)

    def _cut(self, now: float) -> None:
        if (cut := self._hearing.loudspeaker.clear()) is not None:
            self.cuts.append(cut)
        tripped = {trip.item_id for trip in self._of(GuardrailTrip)}
        for speech in list(self._of(AgentSpeech)):
            if speech.cut is not None or (speech.complete and speech.end <= now):
                continue
            speech.at, speech.end = min(speech.at, now), min(speech.end, now)
            speech.cut = "guardrail" if speech.item_id in tripped else "interrupted"
            if speech.cut == "interrupted":
                voice = self._hearing.caller.last
                talking = voice is not None and voice.end >= now - _TALKS_S
                after = max(0.0, now - voice.start) if voice and talking else None
                self._add(BargeIn(now, speech.item_id, after))

    def _trip(self, event: GuardrailTripped, now: float) -> None:
        name = guardrail_name(event.error.guardrail_result.guardrail)
        self._add(GuardrailTrip(now, name, event.item_id))
        for speech in self._of(AgentSpeech):
            if speech.item_id == event.item_id and speech.cut is not None:
                speech.cut = "guardrail"
        self.entries = [
            entry
            for entry in self.entries
            if not (isinstance(entry, BargeIn) and entry.item_id == event.item_id)
        ]

    def _done(self, event: ResponseDone, now: float) -> None:
        response_id = event.response_id or ""
        self._responding.discard(response_id)
        self.timings[response_id] = asdict(event.timings)
        for speech in self._of(AgentSpeech):
            if speech.response_id == response_id and not self._live:
                speech.complete = True
        if event.status == "failed":
            details = (event.status_details or {}).get("error") or event.status_details
            self._add(Problem(now, f"the response failed: {details}"))

    def _tool(self, call: ToolCall | ToolApproval, agent: str) -> ToolRun:
        for run in self._of(ToolRun):
            if run.call_id == call.call_id:
                return run
        name = call.name if isinstance(call, ToolCall) else call.tool_name
        run = ToolRun(self._hearing.now, agent, name, call.arguments, call.call_id)
        self._add(run)
        return run

    def _server(self, raw: dict[str, Any], now: float) -> None:
        match raw:
            case {"type": "input_audio_buffer.speech_started", "item_id": str(item_id)}:
                voice = self._hearing.caller.last
                recent = voice is not None and voice.end >= now - _TALKS_S
                self._add(CallerSpeech(voice.start if voice and recent else now, item_id))
            case {"type": "input_audio_buffer.speech_stopped", "item_id": str(item_id)}:
                if speech := self._caller(item_id):
                    voice = self._hearing.caller.last
                    speech.end = min(now, voice.end) if voice else now
            case {
                "type": "conversation.item.input_audio_transcription.completed",
                "item_id": str(item_id),
                "transcript": str(transcript),
            }:
                if speech := self._caller(item_id):
                    speech.text, speech.understood = transcript.strip() or UNHEARD, True
            case {
                "type": "conversation.item.input_audio_transcription.failed",
                "item_id": str(item_id),
            }:
                if speech := self._caller(item_id):
                    speech.text, speech.understood = UNHEARD, True

    def _caller(self, item_id: str) -> CallerSpeech | None:
        return next((entry for entry in self._of(CallerSpeech) if entry.item_id == item_id), None)

    def _of(self, kind: type[_Kind]) -> Iterator[_Kind]:
        """Give the entries of a kind, the last one first."""
        return (entry for entry in reversed(self.entries) if isinstance(entry, kind))

    def _add(self, entry: Entry) -> None:
        # An answer that is queued begins later than what happens now.
        insort(self.entries, entry, key=lambda known: known.at)
