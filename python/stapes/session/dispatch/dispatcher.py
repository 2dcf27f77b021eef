"""Takes the messages of the core: emits events, and sets users' code to work."""

from __future__ import annotations

import contextvars
import json
import logging
import weakref
from typing import TYPE_CHECKING, Any, Protocol

from agents import ModelBehaviorError

from stapes.events import (
    AgentEnd,
    AgentStart,
    AudioInterrupted,
    AudioStart,
    AudioStopped,
    Error,
    McpToolCallCompleted,
    McpToolsChanged,
    ResponseDone,
    Timings,
    ToolApprovalRequested,
    ToolCall,
)
from stapes.session.agents import hooks
from stapes.session.dispatch import messages
from stapes.session.dispatch.connection_handlers import ConnectionHandlers
from stapes.session.dispatch.readings import connection_change
from stapes.session.failures import ends_more
from stapes.session.guardrails import OutputCheck
from stapes.session.invocation import session_and_history
from stapes.session.playback_waiters import PlaybackWaiters
from stapes.session.tool_calls.hosted_approvals import decide_by_callback, tool_that_decides
from stapes.session.tool_calls.pending import PendingCall
from stapes.session.tool_calls.runner import ToolCallRunner
from stapes.session.usage import note, note_transcription

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stapes.hub import LoopHub
    from stapes.session.agents.mcp_tools import HostedMcpTools
    from stapes.session.agents.roster import Roster
    from stapes.session.agents.switching import AgentSwitching
    from stapes.session.audio_input import AudioInput
    from stapes.session.configuration import Configuration
    from stapes.session.connecting import Connector
    from stapes.session.dispatch.interest import Interest
    from stapes.session.dispatch.listeners import Listeners
    from stapes.session.options import SessionOptions
    from stapes.session.scope import Scope
    from stapes.session.tool_calls.approvals import Approvals

__all__ = ["Dispatcher", "Handlers", "MessageHandlers"]

logger = logging.getLogger("stapes")


class MessageHandlers(Protocol):
    """The handlers of one session."""

    scope: Scope
    listeners: Listeners

    @property
    def by_message(self) -> Mapping[type[Any], Callable[[Any, Any], None]]:
        """The handler of each class of messages; an event without one is emitted as it is."""


class Dispatcher:
    """Gives each message of one session to its handler, or emits it where it has none.

    The hub keeps the dispatcher alive, but not the handlers, which belong to the session.
    """

    __slots__ = ("_handlers_ref", "run")

    def __init__(self, handlers: MessageHandlers) -> None:
        self._handlers_ref = weakref.ref(handlers)
        # Callbacks, tools and guardrails run in the context in which the session was made; where a
        # tool of another session made it, that one is none of theirs.
        context = contextvars.copy_context()
        if session_and_history in context:
            context.run(session_and_history.set, None)
        self.run = context.run

    def __call__(self, message: Any) -> None:
        """Takes a message; the hub calls this through `run`."""
        if (handlers := self._handlers_ref()) is None:
            return
        try:
            if (handler := handlers.by_message.get(type(message))) is not None:
                handler(handlers, message)
            elif message.type in handlers.listeners.routes:
                handlers.listeners.emit(message)
        except BaseException as error:
            if ends_more(error):
                raise
            logger.exception("a %s message could not be dispatched", type(message).__name__)
            handlers.scope.tasks.report(error)


class Handlers(ConnectionHandlers["Connector"]):
    """The handlers of one session: one method for each kind of message, and the listeners' host.

    They hold the session's parts, which its own methods use as well.

    Args:
        scope: the session's.
        options: have its guardrails, and say how tools run.
        hub: delivers the messages.
        listeners: get the events.
        interest: follows the listeners and the agent in charge.
        roster: the session's agents.
        switching: changes the agent in charge.
        mcp_tools: the tools of hosted MCP servers.
        approvals: the calls that wait for a decision.
        audio_input: waits for the user's sound to be sent.
        connector: waits for the connection.
        configuration: makes the payloads for the server.
    """

    __slots__ = (
        "_calls",
        "_options",
        "_playback",
        "approvals",
        "configuration",
        "hub",
        "mcp_tools",
        "roster",
        "switching",
    )

    def __init__(
        self,
        scope: Scope,
        options: SessionOptions,
        hub: LoopHub,
        *,
        listeners: Listeners,
        interest: Interest,
        roster: Roster,
        switching: AgentSwitching,
        mcp_tools: HostedMcpTools,
        approvals: Approvals,
        audio_input: AudioInput,
        connector: Connector,
        configuration: Configuration,
    ) -> None:
        super().__init__(scope, listeners, interest, audio_input, connector)
        self.roster = roster
        self.switching = switching
        self.mcp_tools = mcp_tools
        self.approvals = approvals
        self.configuration = configuration
        self.hub = hub
        self._options = options
        # Made when they are needed: most sessions call no tool, and wait for no end of playback.
        self._calls: ToolCallRunner | None = None
        self._playback: PlaybackWaiters | None = None

    # The server and the connection

    def connection_changed(self, message: messages.ConnectionChanged) -> None:
        """Emits the change; at the end, ends what waits for the connection."""
        failure = self.connector.take_failure() if message.status == "disconnected" else None
        if self.listeners.wants("connection_changed"):
            self.listeners.emit(connection_change(message, failure))
        if message.status == "connected":
            self.audio_input.connected()
        if message.status == "reconnecting":
            self.approvals.lose_mcp_calls()
        self.is_over = message.status == "disconnected"
        if self.is_over:
            self.approvals.forget_mcp_calls()
            self.listeners.end()
            self.audio_input.drained()

    def outgoing_ready(self, _: messages.OutgoingReady) -> None:
        """Has a transport of the user's send."""
        self.connector.send_outgoing()

    # Responses

    def response_started(self, message: messages.ResponseStarted) -> None:
        """Emits the agent's start, and calls its hook."""
        agent = self.roster.agent(message.agent_version)
        if self.listeners.wants("agent_start"):
            self.listeners.emit(AgentStart(self.scope.context, agent, message.response_id))
        hooks.agent_started(self.scope, agent)

    def response_ended(self, message: messages.ResponseEnded) -> None:
        """Counts the usage, emits the end, calls the agent's hook, checks the whole output."""
        scope, listeners = self.scope, self.listeners
        agent = self.roster.agent(message.agent_version)
        if not message.lost:
            note(scope.context.usage, message.usage)
        if listeners.wants("response_done"):
            listeners.emit(
                ResponseDone(
                    agent,
                    message.response_id,
                    message.status,
                    _loaded(message.status_details),
                    _loaded(message.usage),
                    Timings(message.created, message.first_audio, message.done),
                    message.out_of_band,
                    _loaded(message.metadata),
                    tuple(_loaded(message.items) or ()),
                )
            )
        if message.out_of_band:
            return
        if listeners.wants("agent_end"):
            listeners.emit(AgentEnd(scope.context, agent, message.output, message.response_id))
        hooks.agent_ended(scope, agent, message.output)
        self._check(message, message.output)

    def transcription_usage(self, message: messages.TranscriptionUsage) -> None:
        """Counts what a transcription cost."""
        note_transcription(self.scope.context.usage, message.usage)

    def guardrail_due(self, message: messages.GuardrailDue) -> None:
        """Checks what the agent has said so far."""
        self._check(message, message.text)

    def _check(self, message: messages.GuardrailDue | messages.ResponseEnded, text: str) -> None:
        agent = self.roster.agent(message.agent_version)
        if guardrails := (*self._options.output_guardrails, *agent.output_guardrails):
            check = OutputCheck(self.scope, agent, guardrails, message)
            self.scope.tasks.invoke(check.run(text))

    def audio_started(self, message: messages.AudioStarted) -> None:
        """Emits the start of an answer's audio."""
        if self.listeners.wants("audio_start"):
            agent = self.roster.agent(message.agent_version)
            self.listeners.emit(AudioStart(self.scope.context, agent))

    def audio_stopped(self, message: messages.AudioStopped) -> None:
        """Emits the end of an answer's audio."""
        if self.listeners.wants("audio_stopped"):
            agent = self.roster.agent(message.agent_version)
            self.listeners.emit(AudioStopped(self.scope.context, agent))

    def audio_interrupted(self, message: messages.AudioInterrupted) -> None:
        """Emits the interruption, on which readers purge what they hold of the answer."""
        agent = self.roster.agent(message.agent_version)
        self.listeners.emit(AudioInterrupted(self.scope.context, agent, message.response_id))

    def played(self, message: messages.Played) -> None:
        """Completes `session.played()`."""
        if self._playback is not None:
            self._playback.played(message.token, message.heard)

    async def until_played(self) -> bool:
        """Waits for the end of playback; whether all of it was heard."""
        return await self.scope.tasks.awaited_here(self._until_played)

    async def _until_played(self) -> bool:
        if self._playback is None:
            self._playback = PlaybackWaiters(self.scope)
        return await self._playback.wait()

    # Tools

    @property
    def calls(self) -> ToolCallRunner:
        """Runs function calls; it is made for the first of them."""
        if self._calls is None:
            self._calls = ToolCallRunner(
                self.scope, self._options, self.hub, self.approvals, self.switching
            )
        return self._calls

    def function_call(self, message: messages.FunctionCall) -> None:
        """Runs a call."""
        snapshot = self.roster.snapshot(message.agent_version)
        if snapshot is None:
            gone = ModelBehaviorError(f"the agent of call {message.call_id} is gone")
            self.scope.local_events.emit(Error(gone))
            return
        call = ToolCall(
            message.call_id,
            message.name,
            message.arguments,
            message.item_id,
            message.response_id,
        )
        pending = PendingCall(call, snapshot, message.connection_id)
        self.scope.tasks.invoke(self.calls.run(pending))

    def mcp_tools_listed(self, message: messages.McpToolsListed) -> None:
        """Works out which hosted MCP tools the agent in charge has now."""
        listed = json.loads(message.tools)
        tools = listed if isinstance(listed, list) else []
        known = [tool for tool in tools if isinstance(tool, dict)]
        self.mcp_tools.listed(message.server_label, known)
        snapshot = self.roster.snapshot(self.roster.agent_version)
        if snapshot is not None:
            for event in self.mcp_tools.changes(snapshot):
                self.scope.local_events.emit(event)

    def mcp_approval_requested(self, message: messages.McpApprovalRequested) -> None:
        """Asks the tool's own callback for a decision, or whoever listens."""
        agent = self.roster.agent(message.agent_version)
        approval = self.approvals.mcp_requested(message.item, agent, message.connection_id)
        snapshot = self.roster.snapshot(message.agent_version)
        tool = tool_that_decides(snapshot, message.item.server_label)
        if tool is not None:
            work = decide_by_callback(self.scope, self.approvals, tool, approval)
            self.scope.tasks.invoke(work)
            return
        self.listeners.emit(ToolApprovalRequested(self.scope.context, agent, approval))

    def mcp_call_completed(self, message: messages.McpCallCompleted) -> None:
        """Emits the end of a hosted MCP server's call."""
        agent = self.roster.agent(message.agent_version)
        self.listeners.emit(McpToolCallCompleted(self.scope.context, agent, message.item))

    # The session layer's own events

    def local_event(self, message: messages.LocalEvent) -> None:
        """Emits a staged event, and lets its agent take over."""
        scope, token = self.scope, message.token
        event, agent_version = scope.local_events.peek(token)
        if event is not None:
            if agent_version is not None:
                self.switching.take_over(agent_version)
            if isinstance(event, McpToolsChanged):
                self.mcp_tools.available = event.tools
            self.listeners.emit(event)
            hooks.local_event(scope, event)
        scope.local_events.resolve(token, scope.core.dispatched)


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


Handlers.by_message = {
    **ConnectionHandlers.by_message,
    messages.ConnectionChanged: Handlers.connection_changed,
    messages.ResponseStarted: Handlers.response_started,
    messages.ResponseEnded: Handlers.response_ended,
    messages.AudioStarted: Handlers.audio_started,
    messages.AudioStopped: Handlers.audio_stopped,
    messages.AudioInterrupted: Handlers.audio_interrupted,
    messages.Played: Handlers.played,
    messages.GuardrailDue: Handlers.guardrail_due,
    messages.FunctionCall: Handlers.function_call,
    messages.McpToolsListed: Handlers.mcp_tools_listed,
    messages.McpApprovalRequested: Handlers.mcp_approval_requested,
    messages.McpCallCompleted: Handlers.mcp_call_completed,
    messages.LocalEvent: Handlers.local_event,
    messages.OutgoingReady: Handlers.outgoing_ready,
    messages.TranscriptionUsage: Handlers.transcription_usage,
}
