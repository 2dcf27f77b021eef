"""What a caller's web page is told of the conversation, and what it may ask for."""

from __future__ import annotations

import json
import logging
import weakref
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from stapes.errors import CallError, NotSupportedError
from stapes.items import InputAudio, InputText, MessageItem, OutputAudio, OutputText

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stapes.events import (
        AgentToolEnd,
        AgentToolStart,
        Error,
        ToolApprovalRequested,
        ToolCall,
    )
    from stapes.items import HistoryItem

__all__ = ["PageConversation", "PageEvents"]

logger = logging.getLogger("stapes")

_LATEST = 6
"""Items at the end of the history that may still change."""

_MAX_ITEMS = 64
"""Items whose text is remembered."""


MOST_EARLY_LINES = 8
"""Typed lines that wait for the session to be connected; further ones are refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEvents:
    """What a page is told: everything that it is told can be read by whoever opened it.

    Attributes:
        transcripts: what caller and agent say. Messages that the application adds are not told.
        tools: that tools are called: `names`, `all` (with arguments and output), or `none`.
        agents: the name of the agent in charge.
    """

    transcripts: bool = True
    tools: Literal["none", "names", "all"] = "names"
    agents: bool = True

    def __post_init__(self) -> None:
        """Refuses what makes no sense.

        Raises:
            ValueError: names the option.
        """
        if self.tools not in ("none", "names", "all"):
            raise ValueError(f"tools is {self.tools!r}: use 'none', 'names' or 'all'")


class Session(Protocol):
    """The session that the page talks with."""

    @property
    def current_agent(self) -> Any:
        """The agent in charge."""

    @property
    def history(self) -> Sequence[HistoryItem]:
        """The conversation so far."""

    def interrupt(self) -> Any:
        """Stops the answer."""

    def send_message(self, message: str) -> Any:
        """Sends a text of the user."""


class Events(Protocol):
    """Where the events of a session are had."""

    def follow(self, followers: Mapping[str, Callable[[Any], None]], /) -> None:
        """Calls functions with events, by the type of the event."""


class PageConversation:
    """Tells a page about a session, and has the session do what the page asks for.

    Args:
        send: sends the page a JSON text.
        events: what the page is told.
    """

    def __init__(self, send: Callable[[str], bool], events: PageEvents) -> None:
        self._send = send
        self._events = events
        self._session: Callable[[], Session | None] = _nobody
        self._texts: OrderedDict[str, str] = OrderedDict()
        """What items say so far, the newest of them."""
        self._told: OrderedDict[str, tuple[str, bool]] = OrderedDict()
        """What the page knows to be final of an item, and whether it was interrupted."""
        self._typed: OrderedDict[str, None] = OrderedDict()
        """Lines that the caller typed: they may be told back."""
        self._state = ""
        self._early: deque[str] = deque()
        """Lines that were typed before the session was connected."""
        self._failed: ToolCall | None = None
        """The last call of a tool that failed. It may end as well: the model gets an answer."""
        self._is_waiting = True
        """No session has been connected yet, nor failed to be."""

    def follow(self, session: Session, events: Events) -> None:
        """Tells the page about a session from now on."""
        self._session = weakref.ref(session)
        self._tell_state("connecting")
        followers: dict[str, Callable[[Any], None]] = {
            "connection_changed": self._connection_changed,
            "agent_start": lambda _: self._tell_state("thinking"),
            "audio_start": lambda _: self._tell_state("speaking"),
            "playback_ended": lambda _: self._tell_state("listening"),
            "audio_interrupted": self._interrupted,
            "guardrail_tripped": lambda _: self._tell({"type": "guardrail"}),
        }
        if self._events.agents:
            followers["agent_handoff"] = lambda event: self._tell_agent(event.to_agent)
        if self._events.transcripts:
            followers["transcript_delta"] = self._transcript_delta
            followers["history_updated"] = self._history_updated
        if self._events.tools != "none":
            followers["agent_tool_start"] = self._tool_started
            followers["agent_tool_end"] = self._tool_ended
            followers["error"] = self._tool_failed
            followers["tool_approval_requested"] = self._tool_waits
        events.follow(followers)

    def resume(self) -> None:
        """Tells a page that has come back where the conversation is."""
        if (session := self._session()) is None:
            return
        state, self._state = self._state, ""
        self._tell_state(state)
        if self._events.agents:
            self._tell_agent(session.current_agent)
        if self._events.transcripts:
            self._told.clear()
            self._tell_items(session.history)

    def take(self, message: dict[str, Any]) -> None:
        """Does what the page asks for. What fails of it is an `error` event of the session."""
        if self._is_waiting and self._keep(message):
            return
        if (session := self._session()) is None:
            self._tell({"type": "error", "message": "The agent is not there."})
            return
        match message:
            case {"type": "interrupt"}:
                session.interrupt()
            case {"type": "say", "text": str(text)}:
                self._say(session, text)
            case _:
                pass

    def not_reached(self) -> None:
        """Tells the page that it has no agent, unless one was there, or it knows already."""
        if self._is_waiting:
            self._tell_unreachable()

    def _keep(self, message: dict[str, Any]) -> bool:
        """Keeps a typed line for the session, as far as there is room."""
        match message:
            case {"type": "say", "text": str(text)} if len(self._early) < MOST_EARLY_LINES:
                self._early.append(text)
                return True
            case _:
                return False

    def _say_early(self, session: Session) -> None:
        """Gives the session what was typed before it was connected."""
        while self._early:
            self._say(session, self._early.popleft())

    def _tell_unreachable(self) -> None:
        self._is_waiting = False
        self._early.clear()
        self._tell({"type": "error", "message": "The agent cannot be reached."})

    def _say(self, session: Session, text: str) -> None:
        try:
            session.send_message(text)
        except NotSupportedError as refused:
            logger.warning("what a page's user typed was not sent: %s", refused)
            self._tell({"type": "error", "message": "This agent takes no typed messages."})
            return
        self._typed[text] = None
        _forget(self._typed)

    def _tell(self, event: dict[str, Any]) -> None:
        try:
            self._send(json.dumps({"type": "event", "event": event}, ensure_ascii=False))
        except CallError as too_long:
            logger.warning("a page was not told of a %s: %s", event["type"], too_long)

    def _tell_state(self, state: str) -> None:
        if state and state != self._state:
            self._state = state
            self._tell({"type": "state", "state": state})

    def _tell_agent(self, agent: Any) -> None:
        self._tell({"type": "agent", "name": agent.name})

    # What the session says

    def _connection_changed(self, event: Any) -> None:
        match event.status:
            case "connected":
                self._is_waiting = False
                self._tell_state("listening")
                if (session := self._session()) is not None:
                    if self._events.agents:
                        self._tell_agent(session.current_agent)
                    self._say_early(session)
            case "disconnected":
                if event.error is not None:
                    self._tell_unreachable()
            case status:
                self._tell_state(status)

    def _interrupted(self, _: Any) -> None:
        self._tell({"type": "interrupted"})
        self._tell_state("listening")

    def _transcript_delta(self, event: Any) -> None:
        text = self._texts.get(event.item_id, "") + event.delta
        self._texts[event.item_id] = text
        _forget(self._texts)
        self._tell_transcript(event.role, event.item_id, text, final=False)

    def _history_updated(self, event: Any) -> None:
        self._tell_items(event.history[-_LATEST:])

    def _tell_items(self, items: Sequence[HistoryItem]) -> None:
        for item in items:
            if not isinstance(item, MessageItem) or item.status == "in_progress":
                continue
            text, interrupted = self._shown(item)
            if text is None or self._told.get(item.item_id) == (text, interrupted):
                continue
            self._told[item.item_id] = (text, interrupted)
            _forget(self._told)
            self._texts.pop(item.item_id, None)
            role = item.role
            self._tell_transcript(role, item.item_id, text, final=True, interrupted=interrupted)

    def _tell_transcript(
        self, role: str, item_id: str, text: str, *, final: bool, interrupted: bool = False
    ) -> None:
        event = {
            "type": "transcript",
            "role": role,
            "item_id": item_id,
            "text": text,
            "final": final,
        }
        if interrupted:
            event["interrupted"] = True
        self._tell(event)

    def _shown(self, item: MessageItem) -> tuple[str | None, bool]:
        """What a message says, as far as it may be told, and whether it was interrupted."""
        texts, interrupted = [], False
        for part in item.content:
            match part:
                case OutputAudio():
                    cut = part.heard is not None
                    interrupted |= cut
                    texts.append((part.heard if cut else part.transcript) or "")
                case OutputText() if item.role == "assistant":
                    texts.append(part.text)
                case InputAudio(transcript=str(transcript)):
                    texts.append(transcript)
                case InputText() if item.role == "user" and part.text in self._typed:
                    texts.append(part.text)
                case _:
                    pass
        return (" ".join(texts), interrupted) if texts else (None, False)

    def _tool_started(self, event: AgentToolStart) -> None:
        more = {"arguments": event.tool_call.arguments} if self._events.tools == "all" else {}
        self._tell_tool(event.tool_call.call_id, event.tool.name, "started", more)

    def _tool_failed(self, event: Error) -> None:
        if event.tool_call is not None:
            self._failed = call = event.tool_call
            self._tell_tool(call.call_id, call.name, "failed", {})

    def _tool_ended(self, event: AgentToolEnd) -> None:
        if event.tool_call == self._failed:
            return
        more = {"output": event.result} if self._events.tools == "all" else {}
        self._tell_tool(event.tool_call.call_id, event.tool.name, "finished", more)

    def _tool_waits(self, event: ToolApprovalRequested) -> None:
        approval = event.approval
        self._tell_tool(approval.call_id, approval.tool_name, "waiting", {})

    def _tell_tool(self, call_id: str, name: str, status: str, more: dict[str, Any]) -> None:
        tool = {"type": "tool", "call_id": call_id, "name": name, "status": status}
        self._tell(tool | more)


def _nobody() -> None:
    return None


def _forget(known: OrderedDict[str, Any]) -> None:
    if len(known) > _MAX_ITEMS:
        known.popitem(last=False)
