"""What was seen of a conversation, and which rules it broke."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stapes import (
    AgentEnd,
    AgentStart,
    AgentToolEnd,
    AgentToolStart,
    Audio,
    AudioInterrupted,
    AudioStart,
    AudioStopped,
    ConnectionChanged,
    Error,
    GuardrailTripped,
    HistoryUpdated,
    MessageItem,
    OutputAudio,
    RealtimeAgent,
    RealtimeSession,
    ToolApprovalRequested,
)
from tests.random_conversations.stage import AGENTS

if TYPE_CHECKING:
    from tests.random_conversations.stage import Stage


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule."""

    rule: str
    what: str


@dataclass(slots=True)
class ToolRun:
    """What was told of a tool's run."""

    name: str
    connection: int
    ended: bool = False
    """`AgentToolEnd`, or an error of it, came."""
    lost: bool = False
    """Its connection was dropped before."""
    closed: bool = False
    """The user closed the session before."""


class Record:
    """Listens to a session, and keeps the rules that can be checked at once.

    Args:
        session: whose events are recorded.
        stage: its users' code.
    """

    def __init__(self, session: RealtimeSession[Any], stage: Stage) -> None:
        self.session = session
        self.stage = stage
        self.violations: list[Violation] = []
        self.log: list[str] = []
        self.approvals: list[Any] = []
        self.tools: dict[str, ToolRun] = {}
        self.connection = 0
        self.next_agents: tuple[RealtimeAgent[Any], ...] = AGENTS[:1]
        """Who may begin the next connection."""
        self.updates: list[dict[str, Any]] = []
        """`session.update`s of this connection, with instructions."""
        self.responses: Counter[str] = Counter()
        self.is_closed = False
        self.withdrawals = 0
        """Interruptions of this connection, which withdraw a request that is on its way."""
        self.restorations = 0
        """How often this conversation went on over another connection."""
        self._is_closing = False
        self.errors: list[Error] = []
        self.raised: list[str] = []
        """What those who awaited a command were told in place of an `Error`."""
        self.outputs: Counter[str] = Counter()
        self._interrupted: set[str] = set()
        self._history: tuple[Any, ...] = ()
        self._sounding = False
        self._stopped = True
        self._truncated: set[str] = set()
        self._playing = 0
        session.on("*", self._event)
        session.on("audio", self._play)

    def broken(self, rule: str, what: str) -> None:
        self.log.append(f"!! {rule}: {what}")
        self.violations.append(Violation(rule, what))

    def require(self, holds: object, rule: str, what: str) -> None:
        if not holds:
            self.broken(rule, what)

    def note(self, what: str) -> None:
        self.log.append(what)

    def unhandled(self, about: dict[str, Any]) -> None:
        self.broken("unhandled", f"{about.get('message')}: {about.get('exception')!r}")

    # What the test does

    def connecting(self) -> None:
        self.connection += 1
        if self.is_closed:
            # Nothing more is told of what was under way then.
            self.responses.clear()
            self._sounding = False
        self.is_closed = self._is_closing = False
        self.withdrawals = self.restorations = 0
        self.updates.clear()
        self.outputs.clear()
        self.approvals.clear()
        self._interrupted.clear()

    def closing(self) -> None:
        """The user closes the session: what was lost before is not told any more."""
        self._is_closing = True
        for tool in self.tools.values():
            tool.closed |= tool.lost and not tool.ended
        self.approvals.clear()

    def closed(self) -> None:
        self.is_closed = True

    def named(
        self, agent: RealtimeAgent[Any], before: tuple[str, int], after: tuple[str, int]
    ) -> None:
        """The user has named an agent; the connection was so before and after that."""
        if before != after:
            # Whether it was for the connection that ended meanwhile, or for the next, is open.
            self.next_agents = AGENTS
        elif before[0] == "disconnected":
            self.next_agents = (agent,)

    def check_configuration(self) -> None:
        """The connection begins with the first agent, or with who was named for it."""
        self.require(self.updates, "configuration", "no session.update")
        agent = self.session.current_agent
        names = [it.name for it in self.next_agents]
        self.require(
            agent in self.next_agents, "configuration", f"{agent.name} begins, not {names}"
        )
        self.next_agents = AGENTS[:1]
        for update in self.updates[:1]:
            self.check_update(update)

    def check_update(self, update: dict[str, Any]) -> None:
        agent = self.session.current_agent
        # On a new connection there is nothing that the agent could inherit.
        is_first = self.updates[0] is update
        found = update.get("instructions", "" if is_first else None)
        self.require(
            found == (agent.instructions or ""),
            "configuration",
            f"{agent.name} has the instructions {found!r}",
        )
        voice = getattr(agent, "voice", None)
        said = update.get("audio", {}).get("output", {}).get("voice")
        # A conversation that has been spoken keeps its voice on the next connection.
        if is_first and not self.restorations:
            self.require(said == voice, "voice", f"{agent.name} has the voice {said!r}")

    def sent(self, sequence: int, text: str) -> None:
        message = json.loads(text)
        kind = message["type"]
        about = message.get("item", {}).get("call_id") or message.get("response_id") or ""
        self.log.append(f"< {kind} {about}")
        match kind:
            case "session.update" if "audio" in message["session"]:
                self.updates.append(message["session"])
            case "conversation.item.truncate":
                self._truncated.add(message["item_id"])
            case "conversation.item.create" if message["item"]["type"] == "function_call_output":
                call_id = message["item"]["call_id"]
                self.outputs[call_id] += 1
                self.require(
                    self.outputs[call_id] == 1, "call_answered", f"{call_id} is answered twice"
                )

    # Events

    def _event(self, event: Any) -> None:
        self.log.append(f"    {_brief(event)}")
        match event:
            case AgentStart(response_id=response):
                self.responses[str(response)] += 1
            case AgentEnd(response_id=response):
                self.responses[str(response)] -= 1
                self.require(
                    self.responses[str(response)] == 0, "responses_paired", f"{response} ends"
                )
            case AudioStart():
                self.require(not self._sounding, "sound_paired", "AudioStart twice")
                self._sounding, self._stopped = True, False
            case AudioStopped():
                self.require(not self._stopped, "sound_paired", "AudioStopped without a start")
                self._sounding, self._stopped = False, True
            case AudioInterrupted(response_id=response):
                self._sounding = False
                self._interrupted.add(response)
                self._check_cuts()
            case Audio(response_id=response):
                self.require(response not in self._interrupted, "late_sound", response)
            case ConnectionChanged(status="reconnecting"):
                # The next connection is told the conversation, outputs included.
                self.outputs.clear()
                self.updates.clear()
                self.restorations += 1
            case ConnectionChanged(status="disconnected"):
                for call_id, run in self.tools.items():
                    is_open = not run.ended and run.connection == self.connection
                    if is_open and not self.outputs[call_id]:
                        run.closed |= self._is_closing
                        run.lost |= not self._is_closing
            case GuardrailTripped():
                self.withdrawals += 1
            case HistoryUpdated(history=history):
                self._history = tuple(history)
            case ToolApprovalRequested(approval=approval):
                self.approvals.append(approval)
            case AgentToolStart(tool_call=call):
                self.tools[call.call_id] = ToolRun(call.name, self.connection)
            case AgentToolEnd(tool_call=call):
                run = self.tools[call.call_id]
                self.require(not run.ended, "tools_paired", f"{call.call_id} ends twice")
                run.ended = True
            case Error():
                self.errors.append(event)
                self.require(not self.is_closed, "errors_after_close", _brief(event))

    def _check_cuts(self) -> None:
        """The history that was told last shows what was truncated just now."""
        for item in self._history:
            if item.item_id in self._truncated and isinstance(item, MessageItem):
                sounds = [part for part in item.content if isinstance(part, OutputAudio)]
                shown = all(part.heard is not None for part in sounds)
                self.require(shown, "cut_shown", f"{item.item_id}: {sounds}")
        self._truncated.clear()

    async def _play(self, event: Audio) -> None:
        self._playing += 1
        self.require(self._playing == 1, "callbacks_in_order", f"{self._playing} run at once")
        purged = event.response_id not in self._interrupted
        self.require(purged, "callbacks_purged", event.response_id)
        for _ in range(len(event.data) // 480 % 5):
            await asyncio.sleep(0)
        self._playing -= 1

    # The end

    @property
    def sound_is_over(self) -> bool:
        return not self._sounding

    def at_the_end(self) -> None:
        for rule, what in self.stage.complaints:
            self.broken(rule, what)


def _brief(event: Any) -> str:
    name = type(event).__name__
    match event:
        case HistoryUpdated():
            return f"{name} {' '.join(item.item_id for item in event.history)}"
        case Audio():
            return f"{name} {event.response_id} {len(event.data)} bytes"
        case Error():
            return f"{name} {event.error!r} in {event.context}"
        case AgentToolStart() | AgentToolEnd():
            return f"{name} {event.tool_call.name} {event.tool_call.call_id}"
        case ToolApprovalRequested():
            return f"{name} {event.approval.tool_name} {event.approval.call_id}"
        case AgentStart() | AgentEnd():
            return f"{name} {event.agent.name} {event.response_id}"
    about = getattr(event, "response_id", None) or getattr(event, "status", None) or ""
    return f"{name} {about}"
