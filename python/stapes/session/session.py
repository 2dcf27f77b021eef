"""`RealtimeSession`: an agent in conversation with a speech-to-speech model."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from agents import (
    ModelBehaviorError,
    OutputGuardrail,
    RunContextWrapper,
    TContext,
    ToolErrorFormatterArgs,
    Usage,
    UserError,
)
from agents.realtime import RealtimeAgent

from stapes import _core
from stapes.config import SessionConfig, check_config, whole_number, wire_format
from stapes.errors import ConsumerTooSlow, NotConnectedError, StapesError
from stapes.events import (
    AgentHandoff,
    Error,
    McpTool,
    McpToolsChanged,
    SessionEvent,
)
from stapes.hub import LoopHub
from stapes.items import HistoryItem, InputImage
from stapes.playback import PlaybackTracker
from stapes.session import hooks
from stapes.session.agents import Agents, AgentSnapshot, prepare_agent
from stapes.session.cause import cause
from stapes.session.completion import Completion, done
from stapes.session.connecting import ApiKey, Connector, chosen_transport, default_transport
from stapes.session.dispatch import Dispatcher
from stapes.session.guardrails import run_guardrails
from stapes.session.history import items_as_json, message_event
from stapes.session.listeners import Listeners
from stapes.session.local_events import LocalEvents
from stapes.session.mcp_tools import HostedMcpTools
from stapes.session.payload import DEFAULT_MODEL, session_payload, tracing_config
from stapes.session.streaming import AudioStream, AudioStreams
from stapes.session.tools import CallRunner, PendingCall, ToolExecution
from stapes.session.usage import SessionUsage
from stapes.transport import SoundStatistics, Transport, WebRTCTransport, WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Callable,
        Coroutine,
        Mapping,
        Sequence,
    )
    from types import TracebackType

    from stapes.approvals import ToolApproval
    from stapes.session.readers import EventReader

__all__ = ["ApiKey", "RealtimeSession", "current_session"]

logger = logging.getLogger("stapes")

E = TypeVar("E")

_current: contextvars.ContextVar[tuple[RealtimeSession[Any], Sequence[HistoryItem]]] = (
    contextvars.ContextVar("stapes.current_session")
)


def current_session() -> RealtimeSession[Any]:
    """The session that a tool, handoff or guardrail is running for.

    Its `history` is the one that the call was made in.

    Raises:
        LookupError: nothing of a session's is running here.
    """
    try:
        return _current.get()[0]
    except LookupError:
        raise LookupError(
            "current_session() is for tools, handoffs and guardrails: none is running here"
        ) from None


class RealtimeSession(Generic[TContext]):
    """An agent in conversation with a speech-to-speech model.

    Commands take effect when they are called, in order, and return an awaitable for their end; not
    awaiting one is fine, its failure is then an `error` event. Create and use a session on one
    event loop; `send_audio` may be called from any thread.

    Args:
        agent: the first agent in charge.
        transport: `"websocket"`, `"webrtc"`, a `WebSocketTransport(...)` or a
            `WebRTCTransport(...)` with limits, proxy and TLS, or an instance of a
            `RealtimeTransport` of your own.
        api_key: the provider's key, or a function that gets one. Default: `OPENAI_API_KEY`.
        model: the provider's model.
        context: your object, which tools, guardrails and instructions get as `ctx.context`.
        output_guardrails: checks on what the agent says, besides those of the agents themselves.
        output_guardrail_settings: `{"debounce_text_length": n}`: characters between two looks at an
            answer that is being spoken. Default 100; negative: only when the turn ends.
        config: the provider's session configuration. See `stapes.SessionConfig`.
        history_store_audio: keep the audio of messages in the history.
        tracing_disabled: the provider traces nothing.
        workflow_name, group_id, trace_metadata: what the provider traces the session as.
        tool_execution: see `stapes.ToolExecution`.
        tool_error_formatter: words for a rejected call, as `openai-agents` has it.
        automatically_trigger_response_for_mcp_tool_calls: ask for a response when a hosted MCP call
            is complete.
        speech_interrupts: a user who begins to speak interrupts the answer. `False`: speech
            interrupts nothing, only `interrupt()` and guardrails do.
        playback: `"clock"` (what was played is worked out from the time, as the reference does) or
            a `stapes.PlaybackTracker` that your player feeds.
        output_sample_rate: the rate of `Audio` events, in Hz: PCM, 16 bit, mono. Default: as the
            wire has it (24,000 for PCM).
        response_timeout: seconds that the server may leave a request for a response unanswered.
        max_queued_events: events that may wait for a reader; past it see `stapes.Lagging`.
        max_queued_bytes: bytes of audio and raw events that may wait for a reader.

    Raises:
        ValueError, TypeError: an option that cannot be; the message names it.
    """

    def __init__(
        self,
        agent: RealtimeAgent[TContext],
        *,
        transport: Literal["websocket", "webrtc"] | Transport = "websocket",
        api_key: ApiKey | None = None,
        model: str | None = None,
        context: TContext | RunContextWrapper[TContext] | None = None,
        output_guardrails: Sequence[OutputGuardrail[Any]] = (),
        output_guardrail_settings: Mapping[str, Any] | None = None,
        config: SessionConfig | None = None,
        history_store_audio: bool = False,
        tracing_disabled: bool = False,
        workflow_name: str | None = None,
        group_id: str | None = None,
        trace_metadata: Mapping[str, Any] | None = None,
        tool_execution: ToolExecution | None = None,
        tool_error_formatter: Callable[[ToolErrorFormatterArgs[Any]], Any] | None = None,
        automatically_trigger_response_for_mcp_tool_calls: bool = True,
        speech_interrupts: bool = True,
        playback: Literal["clock"] | PlaybackTracker = "clock",
        output_sample_rate: int | None = None,
        response_timeout: float = 30.0,
        max_queued_events: int = 10_000,
        max_queued_bytes: int = 8 * 1024 * 1024,
        _virtual_clock: bool = False,
    ) -> None:
        if not isinstance(agent, RealtimeAgent):
            raise TypeError(
                f"agent must be a RealtimeAgent, not {type(agent).__name__}: "
                "stapes.RealtimeAgent(name=..., instructions=...)"
            )
        chosen = chosen_transport(transport)
        config = {} if config is None else config
        check_config(config)
        if not (api_key is None or isinstance(api_key, str) or callable(api_key)):
            raise TypeError(
                "api_key must be a string or a function that gets one, "
                f"not {type(api_key).__name__}"
            )
        if not isinstance(playback, PlaybackTracker) and playback != "clock":
            raise ValueError(f"playback is {playback!r}: use 'clock' or a PlaybackTracker()")
        whole_number(max_queued_events, "max_queued_events", at_least=1)
        whole_number(max_queued_bytes, "max_queued_bytes", at_least=1)
        if output_sample_rate is not None:
            whole_number(output_sample_rate, "output_sample_rate", at_least=1)
        settings = dict(output_guardrail_settings or {})
        debounce = settings.pop("debounce_text_length", 100)
        if settings:
            raise ValueError(
                f"output_guardrail_settings key {next(iter(settings))!r} is unknown: "
                "use debounce_text_length"
            )
        self._connector = Connector(self, chosen, api_key)
        self._model = model
        self._config = config
        self._guardrails = tuple(output_guardrails)
        self._tracing = tracing_config(
            disabled=tracing_disabled,
            workflow_name=workflow_name,
            group_id=group_id,
            metadata=trace_metadata,
        )
        self._context: RunContextWrapper[TContext] = (
            context
            if isinstance(context, RunContextWrapper)
            else RunContextWrapper(context, usage=SessionUsage())  # type: ignore[arg-type]
        )
        self._agents = Agents(agent)
        self._output_sample_rate = output_sample_rate
        self._max_queued_events = max_queued_events
        self._max_queued_bytes = max_queued_bytes
        self._hub = LoopHub.current()
        self._loop = asyncio.get_running_loop()
        limits: WebSocketTransport | WebRTCTransport = default_transport()
        if isinstance(chosen, WebSocketTransport | WebRTCTransport):
            limits = chosen
        self._core = _core.Session(
            self._hub.core,
            history_store_audio=history_store_audio,
            guardrail_debounce=debounce,
            speech_interrupts=speech_interrupts,
            playback="reports" if playback != "clock" or chosen.playback_reports else "clock",
            respond_to_mcp_calls=automatically_trigger_response_for_mcp_tool_calls,
            response_timeout=response_timeout,
            waiting_responses=64,
            answered_calls=256,
            high_water=limits.high_water,
            max_outgoing_bytes=limits.max_outgoing_bytes,
            max_queued_events=max_queued_events,
            max_queued_bytes=max_queued_bytes,
            virtual_clock=_virtual_clock,
        )
        if isinstance(playback, PlaybackTracker):
            playback._attach(self._core)
        self._set_formats(config.get("audio", {}))
        self._calls = CallRunner(self, tool_execution or ToolExecution(), tool_error_formatter)
        self._local_events = LocalEvents(self._core, self._loop)
        self._listeners = Listeners(self, max_queued_events, max_queued_bytes)
        # As a set; a dictionary that is empty is small.
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._drained: tuple[asyncio.Future[None], ...] = ()
        self._connected_model: str | None = None
        # Whether the end of the last connection was dispatched: the core may know of it before.
        self._over = False
        self._mcp_tools = HostedMcpTools()
        self._streams = AudioStreams()
        self._interest = -1
        self._voice: str | None = None
        self._outgoing_taps: tuple[Callable[[int, str], None], ...] = ()
        self._dispatcher = Dispatcher(self)
        self._hub.register(self._core, self._dispatcher, self._listeners)
        self._update_interest()
        chosen.attach(self)

    # What there is to know

    @property
    def initial_agent(self) -> RealtimeAgent[TContext]:
        """The agent that the session was made with."""
        return self._agents.initial

    @property
    def current_agent(self) -> RealtimeAgent[TContext]:
        """The agent in charge."""
        return self._agents.current

    @property
    def context(self) -> RunContextWrapper[TContext]:
        """The run context that tools, guardrails and instructions get."""
        return self._context

    @property
    def usage(self) -> Usage:
        """What all responses so far have cost."""
        return self._context.usage

    @property
    def history(self) -> Sequence[HistoryItem]:
        """The conversation so far: one version of it, which does not change.

        Inside a tool, handoff or guardrail it is the version in which that was called.
        """
        pinned = _current.get(None)
        if pinned is not None and pinned[0] is self:
            return pinned[1]
        return self._core.history

    @property
    def dispatched(self) -> int:
        """The place in the session's order of what was dispatched last."""
        return self._core.dispatched

    @property
    def available_mcp_tools(self) -> tuple[McpTool, ...]:
        """The hosted MCP tools that the current agent may use."""
        return self._mcp_tools.available

    @property
    def status(self) -> Literal["disconnected", "connecting", "connected"]:
        """Where the connection stands."""
        return self._core.status

    @property
    def muted(self) -> bool:
        """Whether audio is dropped before it is sent."""
        return self._core.muted

    @property
    def options(self) -> Mapping[str, Any]:
        """What the session was made with; no secrets."""
        return {
            "model": self._model,
            "config": self._config,
            "transport": self._connector.transport,
            "output_sample_rate": self._output_sample_rate,
        }

    @property
    def output_sample_rate(self) -> int:
        """The rate of `Audio` events, in Hz."""
        if self._output_sample_rate is not None:
            return self._output_sample_rate
        return self._wire_rate

    @property
    def transport(self) -> SessionTransport:
        """The way to send what there is no method for: `session.transport.send_event(event)`."""
        return SessionTransport(self)

    def __del__(self) -> None:
        # A session that could not be made has no core.
        if (core := getattr(self, "_core", None)) is not None:
            self._hub.unregister(core)

    def __repr__(self) -> str:
        return f"<RealtimeSession {self.status}, agent {self.current_agent.name!r}>"

    # Connecting

    async def connect(
        self,
        *,
        api_key: ApiKey | None = None,
        model: str | None = None,
        url: str | None = None,
        call_id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Connects and configures the session; the initial agent is in charge.

        Args:
            api_key: in place of the session's.
            model: in place of the session's.
            url: in place of the provider's.
            call_id: joins a phone call (SIP) that the provider holds.
            headers: sent besides the session's.

        Raises:
            agents.UserError: there is no key, the session is connected already, or the agent has a
                tool that it cannot have.
            stapes.ConnectError: the connection could not be made; its subclasses say why.
        """
        await self._connector.connect(
            api_key=api_key,
            model=model or self._model or self._config.get("model") or DEFAULT_MODEL,
            url=url,
            call_id=call_id,
            headers=headers,
        )

    async def _initial_payload(self, model: str) -> tuple[AgentSnapshot, dict[str, Any]]:
        snapshot = await prepare_agent(self._agents.initial, self._context)
        return snapshot, await self._payload(snapshot, model=model)

    def _begin_connection(
        self, snapshot: AgentSnapshot, payload: Mapping[str, Any], model: str
    ) -> int:
        """Forgets the connection before; the agent_version of the initial agent."""
        agent_version = self._agents.add(snapshot)
        self._agents.take_over(agent_version)
        self._calls.forget()
        self._listeners.begin_again()
        for token in self._mcp_tools_event(snapshot):
            self._core.local_event(token)
        self._connected_model = model
        self._set_formats(payload["audio"])
        return agent_version

    def close(self) -> Completion[None]:
        """Closes the connection; closing what is closed is fine.

        History, usage and agent stay. Tools that run are not stopped, but what they return is
        dropped.
        """
        idle = self.status == "disconnected" and not self._connector.is_busy
        self._streams.cancel()
        self._core.close(1000, "")
        self._connector.abandon()
        self._calls.forget()
        if idle:
            return done()
        heard = self._local_events.all_so_far()
        return Completion(wait=lambda: _until(heard))

    async def __aenter__(self) -> RealtimeSession[TContext]:
        if self.status == "disconnected":
            await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def initial_session_config(self, *, model: str | None = None) -> dict[str, Any]:
        """What `connect` would configure the session with, without connecting.

        For a provider's API that takes it, such as the one that accepts a SIP call.
        """
        chosen = model or self._model or self._config.get("model") or DEFAULT_MODEL
        return (await self._initial_payload(chosen))[1]

    async def _payload(
        self, snapshot: AgentSnapshot, *, switching: bool = False, model: str | None = None
    ) -> dict[str, Any]:
        chosen = model or self._connected_model or self._model or DEFAULT_MODEL
        config = self._config
        if model is not None and "model" in config:
            config = {**config, "model": model}
        payload = self._connector.transport.configure(
            await session_payload(snapshot, self._context, config, chosen, switching=switching)
        )
        output = payload["audio"]["output"]
        if not self._core.has_spoken:
            self._voice = output.get("voice")
        elif output.get("voice") != self._voice:
            # The provider would refuse the whole update, the new agent's instructions included.
            left_out = output.pop("voice", None)
            logger.info("the session has spoken: it keeps its voice, %r is left out", left_out)
        return payload

    @staticmethod
    def _session_update(payload: Mapping[str, Any]) -> str:
        return json.dumps({"type": "session.update", "session": payload}, ensure_ascii=False)

    def _tracing_update(self) -> str:
        return json.dumps(self._tracing)

    def _set_formats(self, audio: Mapping[str, Any]) -> None:
        """Takes note of what the wire carries: the `audio` of a session's configuration."""

        def of(part: Mapping[str, Any], where: str) -> tuple[str, int | None]:
            found = wire_format(part.get("format", "pcm16"), where)
            return found["type"], found.get("rate")

        given = of(audio.get("input", {}), "config.audio.input.format")
        made = of(audio.get("output", {}), "config.audio.output.format")
        self._core.set_formats(given, made, self._output_sample_rate)
        self._wire_rate = 8_000 if made[0] != "audio/pcm" else made[1] or 24_000

    # Speaking

    def send_message(
        self,
        message: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        other_event_data: Mapping[str, Any] | None = None,
    ) -> Completion[None]:
        """Sends a message of the user's and asks for a response.

        Args:
            message: text; or a message, or its parts, as the wire writes them. An `input_image`
                part names its picture as `image_url` or `image`.
            other_event_data: more keys for the `conversation.item.create` event.
        """
        event = message_event(message, other_event_data)
        return self._command(lambda: self._core.send_message(event, True))

    def add_image(self, image: str, *, trigger_response: bool = True) -> Completion[None]:
        """Shows the model an image: a URL, `data:` or other."""
        part = {"type": "input_image", "image_url": InputImage(image).image_url}
        event = message_event([part], None)
        return self._command(lambda: self._core.send_message(event, trigger_response))

    def send_audio(
        self, audio: Any, *, sample_rate: int | None = None, commit: bool = False
    ) -> Completion[None]:
        """Sends the user's sound. May be called from any thread.

        Args:
            audio: PCM, 16 bit little endian, mono, as anything bytes-like, or a one-dimensional
                numpy array of int16 or float32 (-1 to 1). Without `sample_rate` it is in the
                session's input format: for G.711 its bytes.
            sample_rate: the rate of `audio` in Hz; it is resampled to the session's.
            commit: the user's turn ends here (where turn detection is off).

        Returns:
            Awaited, it waits while more than the transport's `high_water` is waiting to be sent.

        Raises:
            ValueError: an odd number of bytes, or a rate that is not supported.
            TypeError: `audio` is none of the above.
        """
        try:
            congested = self._core.send_audio(audio, sample_rate, commit)
        except StapesError as error:
            return self._failed(error)
        # A sender who never awaits costs nothing: what waits for room is made when it is awaited.
        return Completion(wait=self._room) if congested else done()

    def stream_audio(
        self,
        audio: Any,
        *,
        sample_rate: int | None = None,
        commit: bool = False,
        interval: float = 0.1,
    ) -> AudioStream:
        """Sends a long sound in real time, as if it were spoken: a recorded question, a call.

        Rust paces it, whatever the event loop does. One sound at a time; what `send_audio` is given
        meanwhile goes in between. Muted, it goes on unheard. While the server does not read it
        stands still. `close` ends it.

        Args:
            audio: as for `send_audio`, or a `stapes.audio.Recording`, which sessions share.
            sample_rate: as for `send_audio`; a `Recording` has its own.
            commit: the user's turn ends behind it (where turn detection is off).
            interval: seconds between two messages, of which each has so much of the sound: 0.005
                to 10.

        Returns:
            Awaited, it gives the seconds of the sound that were sent, when it would have been
            spoken to its end. `cancel()` ends it at once.

        Raises:
            ValueError: as `send_audio`; or `audio` is empty, or `interval` out of range.
            TypeError: `audio` is none of the above.
        """
        return self._streams.begin(self, audio, sample_rate, commit, interval)

    async def _room(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            there = asyncio.run_coroutine_threadsafe(self._room(), self._loop)
            await asyncio.wrap_future(there)
            return
        while self._core.is_congested():
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._drained = (*self._drained, waiter)
            if not self._core.is_congested():
                break
            await waiter
        if self.status != "connected":
            raise NotConnectedError("the connection was lost while audio waited to be sent")

    def playback_reported(self, item_id: str, content_index: int, milliseconds: float) -> None:
        """Says how much of an answer's part has been played since its beginning.

        For a transport that reports playback, or a player that counts by itself; see
        `stapes.PlaybackTracker` for one that counts for you. May be called from any thread.
        """
        self._core.playback_reported(item_id, content_index, milliseconds)

    def mute(self, muted: bool = True) -> Completion[None]:
        """Drops audio before it is sent, or stops doing so."""
        self._core.mute(muted)
        return done()

    def interrupt(self) -> Completion[None]:
        """Stops the answer: cancels it and cuts it where its sound is. Fine when there is none."""
        self._core.interrupt()
        return done()

    def request_response(self, response: Mapping[str, Any] | None = None) -> Completion[None]:
        """Asks for a response, with these settings for it if any."""
        text = None if response is None else json.dumps(response, ensure_ascii=False)
        return self._command(lambda: self._core.request_response(text))

    def update_history(
        self,
        history: Sequence[HistoryItem | Mapping[str, Any]]
        | Callable[[list[HistoryItem]], Sequence[HistoryItem | Mapping[str, Any]]],
    ) -> Completion[None]:
        """Rewrites the conversation: what differs is deleted and created at the server.

        `session.history` changes as the server confirms.

        Args:
            history: the new history, or a function that makes it from a list of the old one.

        Returns:
            It fails with `agents.UserError` where the provider cannot do it: assistant's audio and
            MCP items cannot be added or changed. Function calls are left out, with a warning.
        """
        old = list(self._core.history)
        new = history(old) if callable(history) else history
        try:
            ignored = self._core.update_history(items_as_json(new))
        except ValueError as error:
            return self._failed(UserError(str(error)))
        except StapesError as error:
            return self._failed(error)
        for item_id in ignored:
            logger.warning("function call %s cannot be added or changed: it is left out", item_id)
        return done()

    # Agents and approvals

    def update_agent(self, agent: RealtimeAgent[TContext]) -> Completion[RealtimeAgent[TContext]]:
        """Puts another agent in charge. Before there is a connection nothing is sent."""
        return self._completion(self._update_agent(agent))

    async def _update_agent(self, agent: RealtimeAgent[TContext]) -> RealtimeAgent[TContext]:
        source = self._agents.current
        snapshot = await prepare_agent(agent, self._context)
        while True:
            connection_id = self._core.connection_id
            connected = self.status == "connected"
            payload = await self._payload(snapshot, switching=True) if connected else None
            if connection_id == self._core.connection_id:
                break
        agent_version = self._agents.add(snapshot)
        events = [self._local_events.stage(AgentHandoff(self._context, source, agent))]
        events += self._mcp_tools_event(snapshot)
        self._local_events.take_over_on(events[0], agent_version)
        self._agents.take_over(agent_version)
        update = None if payload is None else self._session_update(payload)
        self._core.switch_agent(connection_id, agent_version, update, events, [])
        return agent

    def approve(self, approval: ToolApproval, *, always: bool = False) -> Completion[None]:
        """Lets a call be made. Awaited, it waits for the tool.

        Args:
            approval: from a `ToolApprovalRequested` event. A second decision changes nothing.
            always: the same for later calls of this tool by this agent.

        Returns:
            It fails with `agents.ModelBehaviorError` where the request's connection is over.
        """
        return self._decide(approval, True, always, None)

    def reject(
        self, approval: ToolApproval, *, message: str | None = None, always: bool = False
    ) -> Completion[None]:
        """Does not let a call be made; the model gets `message`, or the default words."""
        return self._decide(approval, False, always, message)

    def _decide(
        self, approval: ToolApproval, approve: bool, always: bool, message: str | None
    ) -> Completion[None]:
        if approval.connection_id != self._core.connection_id or self.status != "connected":
            return self._failed(
                ModelBehaviorError("Tool approval belongs to a closed realtime connection.")
            )
        if approval.kind == "mcp_approval_request":
            return self._decide_mcp(approval, approve, always, message)
        pending = self._calls.take(approval)
        if pending is None:
            return done()
        item = approval.approval_item
        assert item is not None
        if approve:
            self._context.approve_tool(item, always_approve=always)
        else:
            self._context.reject_tool(item, always_reject=always, rejection_message=message)
        return self._completion(self._calls.resume(pending))

    def _decide_mcp(
        self, approval: ToolApproval, approve: bool, always: bool, message: str | None
    ) -> Completion[None]:
        if always:
            logger.warning(
                "hosted MCP tools cannot be approved or rejected for good: "
                "use require_approval of the tool's configuration"
            )
        if self._mcp_decided(approval):
            return done()
        reason = None if approve else message
        self._core.answer_mcp_approval(approval.connection_id, approval.item_id, approve, reason)
        return done()

    def _mcp_decided(self, approval: ToolApproval) -> bool:
        known = self._dispatcher.pending_mcp_approvals
        self._dispatcher.pending_mcp_approvals = known - {approval.item_id}
        return approval.item_id not in known

    # Listening

    @overload
    def on(self, event: str, callback: Callable[[Any], Any]) -> Callable[[Any], Any]: ...
    @overload
    def on(self, event: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]: ...
    def on(self, event: str, callback: Callable[[Any], Any] | None = None) -> Any:
        """Calls `callback` (sync or async) with each event of that type; also as a decorator.

        Args:
            event: the type's name, such as `"audio"`, or `"*"` for all but `transport_event`.
            callback: one that raises becomes an `error` event and hurts nobody else.

        Raises:
            ValueError: there is no such type.
        """
        if callback is None:
            return lambda function: self.on(event, function)
        self._listeners.on(event, callback)
        return callback

    def off(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Calls it no more."""
        self._listeners.off(event, callback)

    def __aiter__(self) -> AsyncIterator[SessionEvent]:
        return self.events()

    @overload
    def events(self) -> EventReader[SessionEvent]: ...
    @overload
    def events(self, *kinds: type[E]) -> EventReader[E]: ...
    def events(self, *kinds: type[Any]) -> EventReader[Any]:
        """Goes through the events of these classes, or through all but `TransportEvent`.

        Each reader gets every event. What happens before anybody listens, be it here or with `on`,
        is kept for the first reader, within the bounds of the session.

        Raises:
            ConsumerTooSlow: from the reader, when more waits for it than `max_queued_events` and
                none of it may be dropped. It has ended then, and where it reads all events, so has
                the connection.
        """
        over = self._over and not self._connector.is_busy
        return self._listeners.read(kinds, over=over)

    def _update_interest(self) -> None:
        wanted = self._listeners.types
        interest = 0
        for name, flag in _INTERESTS.items():
            if name in wanted:
                interest |= flag
        if self._outgoing_taps:
            interest |= _core.INTEREST_OUTGOING
        if self._guardrails or self._agents.current.output_guardrails:
            interest |= _core.INTEREST_GUARDRAILS
        if interest != self._interest:
            self._interest = interest
            self._core.set_interest(interest)

    def _tap_outgoing(self, tap: Callable[[int, str], None]) -> None:
        """Calls `tap` with the place and text of each message that is sent."""
        self._outgoing_taps = (*self._outgoing_taps, tap)
        self._update_interest()

    def _callback_failed(self, event: SessionEvent, error: Exception) -> None:
        logger.debug("a callback for %s failed", event.type, exc_info=error)
        # A callback for errors that fails must not call itself for ever.
        if not isinstance(event, Error):
            self._local(Error(error, context=f"callback for {event.type}"))

    # The session layer's own

    def _local(self, event: SessionEvent) -> None:
        """Puts an event of the session layer's into the order."""
        self._local_events.emit(event)

    def _dispatch_local(self, token: int) -> None:
        event, agent_version = self._local_events.peek(token)
        if event is not None:
            if agent_version is not None:
                self._agents.take_over(agent_version)
                self._update_interest()
            if isinstance(event, McpToolsChanged):
                self._mcp_tools.available = event.tools
            self._listeners.emit(event)
            hooks.local_event(self, event)
        self._local_events.resolve(token, self.dispatched)

    def _mcp_tools_event(self, snapshot: AgentSnapshot) -> list[int]:
        """The event that says which hosted MCP tools there are now, where they are others."""
        tools = self._mcp_tools.of(snapshot)
        return [] if tools is None else [self._local_events.stage(McpToolsChanged(tools))]

    def _mcp_tools_listed(self, server_label: str, tools: list[dict[str, Any]]) -> None:
        self._mcp_tools.listed(server_label, tools)
        snapshot = self._agents.snapshot(self._agents.agent_version)
        if snapshot is not None:
            for token in self._mcp_tools_event(snapshot):
                self._core.local_event(token)

    def _run_call(self, pending: PendingCall) -> None:
        self._spawn(self._calls.run(pending), self._core.history)

    def _run_guardrails(self, agent_version: int, text: str, **about: Any) -> None:
        agent = self._agents.agent(agent_version)
        guardrails = (*self._guardrails, *agent.output_guardrails)
        if guardrails:
            checks = run_guardrails(self, guardrails, text, agent=agent, **about)
            self._spawn(checks, self._core.history)

    def _spawn(
        self, work: Coroutine[Any, Any, Any], history: Sequence[HistoryItem] | None = None
    ) -> asyncio.Task[Any]:
        """Runs something of the user's beside everything else."""
        context = contextvars.copy_context()
        if history is not None:
            context.run(_current.set, (self, history))
            context.run(cause.set, self.dispatched)
        task = self._loop.create_task(work, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._report(error)

    def _report(self, error: BaseException) -> None:
        """A failure that nobody awaited."""
        self._local(Error(error))

    def _completion(self, work: Coroutine[Any, Any, E]) -> Completion[E]:
        task = self._loop.create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return Completion(future=task, report=self._report)

    def _failed(self, error: BaseException) -> Completion[Any]:
        return Completion(error=error, report=self._report_from_anywhere)

    def _report_from_anywhere(self, error: BaseException) -> None:
        try:
            self._loop.call_soon_threadsafe(self._report, error)
        except RuntimeError:
            logger.debug("a command failed after its loop was closed", exc_info=error)

    def _command(self, act: Callable[[], object]) -> Completion[None]:
        try:
            act()
        except StapesError as error:
            return self._failed(error)
        return done()

    def _redacted(self, text: str) -> str:
        """What the server said, without the key that it may have quoted."""
        secret = self._connector.secret
        return text if secret is None else text.replace(secret, "***")

    def _connection_changed(self, status: str) -> None:
        self._over = status == "disconnected"
        if not self._over:
            return
        self._listeners.end()
        self._has_room()

    def _has_room(self) -> None:
        waiting, self._drained = self._drained, ()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _too_slow(self, waiting: int) -> None:
        error = ConsumerTooSlow(
            f"{waiting} events were waiting for the event loop and none of them may be dropped: "
            "the connection is closed. Keep the loop free, or raise max_queued_events"
        )
        self._listeners.emit(Error(error))

    def _unread(self, error: ConsumerTooSlow) -> None:
        self._core.give_up_unread()
        self._listeners.emit(Error(error))


async def _until(heard: asyncio.Future[int]) -> None:
    await asyncio.shield(heard)


class SessionTransport:
    """A session's transport, for what there is no method for."""

    __slots__ = ("_session",)

    def __init__(self, session: RealtimeSession[Any]) -> None:
        self._session = session

    @property
    def status(self) -> str:
        """Where the connection stands."""
        return self._session.status

    @property
    def sound(self) -> SoundStatistics | None:
        """How the sound fares, as of the last second, where it travels beside the messages."""
        stats = self._session._core.sound_stats()
        return None if stats is None else SoundStatistics(*stats)

    def send_event(self, event: Mapping[str, Any]) -> Completion[None]:
        """Sends an event as it is. A `response.create` waits until no response is active."""
        text = json.dumps(event, ensure_ascii=False)
        return self._session._command(lambda: self._session._core.send_event(text))


_INTERESTS = {
    "audio": _core.INTEREST_AUDIO,
    "transport_event": _core.INTEREST_RAW,
    "transcript_delta": _core.INTEREST_TRANSCRIPT,
    "history_updated": _core.INTEREST_HISTORY,
}
