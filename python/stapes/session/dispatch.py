"""Turns the core's words into events for the session's readers and work for its tools."""

from __future__ import annotations

import contextvars
import json
import logging
import weakref
from typing import TYPE_CHECKING, Any

from agents import ModelBehaviorError

from stapes import _core
from stapes.approvals import ToolApproval
from stapes.errors import NotConnectedError, ServerError, StapesError
from stapes.events import (
    AgentEnd,
    AgentStart,
    AudioInterrupted,
    AudioStart,
    AudioStopped,
    ConnectionChanged,
    Error,
    HistoryAdded,
    HistoryUpdated,
    Lagging,
    McpToolCallCompleted,
    ResponseDone,
    Timings,
    ToolApprovalRequested,
    ToolCall,
    TranscriptDelta,
    TransportEvent,
)
from stapes.session.agents import hooks
from stapes.session.tools import PendingCall
from stapes.session.upstream import approval_item
from stapes.session.usage import note

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.session.session import RealtimeSession

__all__ = ["Dispatcher"]

logger = logging.getLogger("stapes")


class Dispatcher:
    """Takes the words of one session, each by the method of its name.

    The hub holds it for as long as the session lives, which it does not keep alive.
    """

    __slots__ = ("_session_ref", "pending_mcp_approvals", "run")

    def __init__(self, session: RealtimeSession[Any]) -> None:
        self._session_ref = weakref.ref(session)
        # Callbacks, tools and guardrails run in the context in which the session was made.
        self.run = contextvars.copy_context().run
        self.pending_mcp_approvals: frozenset[str] = frozenset()

    def __call__(self, word: tuple[Any, ...]) -> None:
        """Takes a word, in the session's context."""
        if (session := self._session_ref()) is None:
            return
        kind, *about = word
        try:
            _HANDLERS[kind](self, session, *about)
        except Exception as error:
            logger.exception("the word %s could not be taken", _core.WORDS[kind])
            session._report(error)

    def _raw(self, session: RealtimeSession[Any], text: str) -> None:
        event = TransportEvent(json.loads(session._redacted(text)), len(text))
        session._listeners.emit(event)

    def _connection_changed(
        self, session: RealtimeSession[Any], status: Any, reason: str | None
    ) -> None:
        if session._listeners.wants("connection_changed"):
            reason = None if reason is None else session._redacted(reason)
            session._listeners.emit(ConnectionChanged(status, reason))
        if status == "disconnected":
            self.pending_mcp_approvals = frozenset()
        session._connection_changed(status)

    def _response_started(
        self, session: RealtimeSession[Any], response_id: str | None, agent_version: int
    ) -> None:
        agent = session._agents.agent(agent_version)
        if session._listeners.wants("agent_start"):
            session._listeners.emit(AgentStart(session.context, agent, response_id))
        hooks.agent_started(session, agent)

    def _response_done(
        self,
        session: RealtimeSession[Any],
        response_id: str | None,
        agent_version: int,
        item_id: str | None,
        output: str,
        source: str,
        status: str | None,
        status_details: str | None,
        usage: str | None,
        timings: tuple[float | None, float | None, float | None],
        response_index: int,
        connection_id: int,
    ) -> None:
        agent = session._agents.agent(agent_version)
        note(session._context.usage, usage)
        if session._listeners.wants("response_done"):
            counts = None if usage is None else json.loads(usage)
            details = None if status_details is None else json.loads(status_details)
            done = ResponseDone(agent, response_id, status, details, counts, Timings(*timings))
            session._listeners.emit(done)
        if session._listeners.wants("agent_end"):
            session._listeners.emit(AgentEnd(session.context, agent, output, response_id))
        hooks.agent_ended(session, agent, output)
        session._run_guardrails(
            agent_version,
            output,
            response_id=response_id,
            item_id=item_id or "",
            source=source,
            response_index=response_index,
            connection_id=connection_id,
        )

    def _audio_started(self, session: RealtimeSession[Any], agent_version: int) -> None:
        if session._listeners.wants("audio_start"):
            session._listeners.emit(
                AudioStart(session.context, session._agents.agent(agent_version))
            )

    def _audio_stopped(self, session: RealtimeSession[Any], agent_version: int) -> None:
        if session._listeners.wants("audio_stopped"):
            session._listeners.emit(
                AudioStopped(session.context, session._agents.agent(agent_version))
            )

    def _audio_interrupted(
        self, session: RealtimeSession[Any], agent_version: int, response_id: str
    ) -> None:
        # Readers purge what they hold of the answer, so they get it in any case.
        agent = session._agents.agent(agent_version)
        session._listeners.emit(AudioInterrupted(session.context, agent, response_id))

    def _transcript_delta(
        self,
        session: RealtimeSession[Any],
        role: Any,
        delta: str,
        item_id: str,
        response_id: str | None,
        content_index: int,
    ) -> None:
        session._listeners.emit(TranscriptDelta(role, delta, item_id, response_id, content_index))

    def _guardrail_due(
        self,
        session: RealtimeSession[Any],
        response_id: str,
        item_id: str,
        text: str,
        source: str,
        agent_version: int,
        response_index: int,
        connection_id: int,
    ) -> None:
        session._run_guardrails(
            agent_version,
            text,
            response_id=response_id,
            item_id=item_id,
            source=source,
            response_index=response_index,
            connection_id=connection_id,
        )

    def _function_call(
        self,
        session: RealtimeSession[Any],
        call_id: str,
        name: str,
        arguments: str,
        item_id: str,
        response_id: str,
        agent_version: int,
        connection_id: int,
    ) -> None:
        call = ToolCall(call_id, name, arguments, item_id, response_id)
        snapshot = session._agents.snapshot(agent_version)
        if snapshot is None:
            session._local(Error(ModelBehaviorError(f"the agent of call {call_id} is gone")))
            return
        session._run_call(PendingCall(call, snapshot, connection_id))

    def _history_added(self, session: RealtimeSession[Any], item: Any) -> None:
        if session._listeners.wants("history_added"):
            session._listeners.emit(HistoryAdded(item))

    def _history_updated(self, session: RealtimeSession[Any], history: Any) -> None:
        session._listeners.emit(HistoryUpdated(history))

    def _mcp_tools_listed(
        self, session: RealtimeSession[Any], server_label: str, tools: str
    ) -> None:
        listed = json.loads(tools)
        known = (
            [tool for tool in listed if isinstance(tool, dict)] if isinstance(listed, list) else []
        )
        session._mcp_tools_listed(server_label, known)

    def _mcp_approval_requested(
        self, session: RealtimeSession[Any], item: Any, agent_version: int, connection_id: int
    ) -> None:
        agent = session._agents.agent(agent_version)
        arguments = json.dumps(item.arguments, ensure_ascii=False, separators=(",", ":"))
        raw = {
            "type": "mcp_approval_request",
            "id": item.item_id,
            "server_label": item.server_label,
            "name": item.name,
            "arguments": arguments,
        }
        approval = ToolApproval(
            kind="mcp_approval_request",
            agent=agent,
            tool_name=item.name,
            arguments=arguments,
            call_id=item.item_id,
            item_id=item.item_id,
            server_label=item.server_label,
            connection_id=connection_id,
            approval_item=approval_item(agent, raw, item.name),
        )
        self.pending_mcp_approvals |= {item.item_id}
        session._listeners.emit(ToolApprovalRequested(session.context, agent, approval))

    def _mcp_call_completed(
        self, session: RealtimeSession[Any], item: Any, agent_version: int
    ) -> None:
        agent = session._agents.agent(agent_version)
        session._listeners.emit(McpToolCallCompleted(session.context, agent, item))

    def _server_error(self, session: RealtimeSession[Any], event: str) -> None:
        session._listeners.emit(Error(ServerError(json.loads(session._redacted(event)))))

    def _protocol_error(self, session: RealtimeSession[Any], message: str) -> None:
        session._listeners.emit(Error(StapesError(session._redacted(message))))

    def _model_error(self, session: RealtimeSession[Any], message: str) -> None:
        session._listeners.emit(Error(ModelBehaviorError(message)))

    def _unanswered(self, session: RealtimeSession[Any], message: str) -> None:
        session._listeners.emit(Error(StapesError(message)))

    def _not_sent(self, session: RealtimeSession[Any], message: str) -> None:
        session._listeners.emit(Error(NotConnectedError(message)))

    def _local(self, session: RealtimeSession[Any], token: int) -> None:
        session._dispatch_local(token)

    def _outgoing(self, session: RealtimeSession[Any], text: str) -> None:
        for tap in session._outgoing_taps:
            tap(session.dispatched, text)

    def _opened(self, session: RealtimeSession[Any], connection_id: int) -> None:
        session._connector.opened(connection_id, None)

    def _not_opened(
        self, session: RealtimeSession[Any], connection_id: int, error: BaseException | None
    ) -> None:
        session._connector.opened(
            connection_id,
            error or NotConnectedError("the session was closed while it was connecting"),
        )

    def _outgoing_ready(self, session: RealtimeSession[Any]) -> None:
        session._connector.carry()

    def _drained(self, session: RealtimeSession[Any]) -> None:
        session._has_room()

    def _streamed(
        self,
        session: RealtimeSession[Any],
        number: int,
        sent: float,
        failure: BaseException | None,
    ) -> None:
        session._streams.ended(number, sent, failure)

    def _lagging(
        self, session: RealtimeSession[Any], audio: int, raw: int, transcripts: int
    ) -> None:
        session._listeners.emit(Lagging(audio, raw, transcripts))

    def _too_slow(self, session: RealtimeSession[Any], waiting: int) -> None:
        session._too_slow(waiting)


_HANDLERS: tuple[Callable[..., None], ...] = tuple(
    getattr(Dispatcher, f"_{name}") for name in _core.WORDS
)
