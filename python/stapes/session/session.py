"""`RealtimeSession`: an agent in conversation with a speech-to-speech model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal

from agents import (
    OutputGuardrail,
    RunContextWrapper,
    TContext,
    ToolErrorFormatterArgs,
    Usage,
    UserError,
)

from stapes.errors import StapesError
from stapes.items import HistoryItem, InputImage
from stapes.providers.named import chosen
from stapes.session.assembly import assemble
from stapes.session.completion import Completion, done
from stapes.session.coupling import chosen_config
from stapes.session.history import message_event, response_settings, update_history
from stapes.session.invocation import session_and_history
from stapes.session.listening import EventSource
from stapes.session.options import SessionOptions, check_agent, chosen_transport
from stapes.session.probe import SessionProbe
from stapes.session.reconnecting import ReconnectPolicy
from stapes.session.session_transport import SessionTransport
from stapes.session.snapshots import agent_of, checked, restore_into, snapshot
from stapes.session.statistics import SessionStats, session_stats
from stapes.session.tool_calls.execution import DEFAULT_EXECUTION, ToolExecution

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from agents.realtime import RealtimeAgent

    from stapes.approvals import ToolApproval
    from stapes.audio import Recording
    from stapes.config import SessionConfig
    from stapes.events import McpTool
    from stapes.playback import PlaybackTracker
    from stapes.providers import ApiKey, Provider
    from stapes.session.audio_input import AudioStream, Samples
    from stapes.session.coupling import CallerEnd
    from stapes.session.dispatch.listeners import Listeners
    from stapes.transport import Transport

__all__ = ["RealtimeSession"]

_RECONNECT = ReconnectPolicy()


class RealtimeSession(EventSource, Generic[TContext]):
    """An agent in conversation with a speech-to-speech model.

    Commands take effect when they are called, in order, and return an awaitable for their end; not
    awaiting one is fine, its failure is then an `error` event. Create and use a session on one
    event loop; `send_audio` may be called from any thread.

    Args:
        agent: the first agent in charge.
        transport: `"websocket"`, `"webrtc"`, a `WebSocketTransport(...)` or a
            `WebRTCTransport(...)` with limits, proxy and TLS, or an instance of a
            `RealtimeTransport` of your own.
        api_key: the provider's key, or a function that gets one. Default: the environment's, which
            is `OPENAI_API_KEY` for OpenAI.
        model: the provider's model.
        context: your object, which tools, guardrails and instructions get as `ctx.context`.
        output_guardrails: checks on what the agent says, besides those of the agents themselves.
        output_guardrail_settings: `{"debounce_text_length": n}`: characters between two looks at an
            answer that is being spoken. Default 100; negative: only when the turn ends.
        config: the provider's session configuration. See `stapes.SessionConfig`.
        history: what each connection begins with: a stored history, as for `update_history`.
        history_store_audio: keep the audio of messages in the history.
        tracing_disabled: the provider traces nothing.
        workflow_name, group_id, trace_metadata: name, group and metadata of the provider's traces.
        tool_execution: see `stapes.ToolExecution`.
        tool_error_formatter: makes the message for a rejected call, as in `openai-agents`.
        automatically_trigger_response_for_mcp_tool_calls: ask for a response after MCP calls.
        speech_interrupts: a user who begins to speak interrupts the answer. `False`: speech
            interrupts nothing, only `interrupt()` and guardrails do.
        speaks_first: `"agent"`: `connect()` asks for a response, such as a greeting.
        playback: `"clock"` (the position follows the clock while there is sound to play) or a
            `stapes.PlaybackTracker` that your player feeds.
        output_sample_rate: of `Audio` events, in Hz (PCM, 16 bit, mono). Default: the wire's rate.
        response_timeout: seconds that the server may leave a request for a response unanswered.
        max_waiting_responses: requests for a response with settings of their own that may wait
            until no response is active; one more is refused, with an `error` event.
        max_answered_calls: answered function calls that are remembered, to answer repeats.
        max_queued_events: events that may wait for a reader or callback: see `stapes.Lagging`.
        max_queued_bytes: bytes of audio and raw events that may wait for one.
        call: the caller's end of a phone call, which hears and speaks: a `stapes.calls.Call`.
        reconnect: how the session goes on when its connection is lost: by default it connects
            again, and the conversation goes on. `None`: it is disconnected then.
        provider: the provider's name, or its profile: see `stapes.providers`. Default: OpenAI's.

    Raises:
        ValueError, TypeError: names the option that is wrong.
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
        history: Sequence[HistoryItem | Mapping[str, Any]] = (),
        history_store_audio: bool = False,
        tracing_disabled: bool = False,
        workflow_name: str | None = None,
        group_id: str | None = None,
        trace_metadata: Mapping[str, Any] | None = None,
        tool_execution: ToolExecution | None = None,
        tool_error_formatter: Callable[[ToolErrorFormatterArgs[Any]], Any] | None = None,
        automatically_trigger_response_for_mcp_tool_calls: bool = True,
        speech_interrupts: bool = True,
        speaks_first: Literal["user", "agent"] = "user",
        playback: Literal["clock"] | PlaybackTracker = "clock",
        output_sample_rate: int | None = None,
        response_timeout: float = 30.0,
        max_waiting_responses: int = 64,
        max_answered_calls: int = 256,
        max_queued_events: int = 10_000,
        max_queued_bytes: int = 8 * 1024 * 1024,
        reconnect: ReconnectPolicy | None = _RECONNECT,
        provider: Provider | str = "openai",
        call: CallerEnd | None = None,
    ) -> None:
        check_agent(agent)
        profile = chosen(provider)
        options = SessionOptions(
            transport=chosen_transport(transport),
            api_key=api_key,
            model=model,
            output_guardrails=tuple(output_guardrails),
            output_guardrail_settings=output_guardrail_settings,
            config=chosen_config(config, call, profile),
            history_store_audio=history_store_audio,
            tracing_disabled=tracing_disabled,
            workflow_name=workflow_name,
            group_id=group_id,
            trace_metadata=trace_metadata,
            tool_execution=tool_execution or DEFAULT_EXECUTION,
            tool_error_formatter=tool_error_formatter,
            automatically_trigger_response_for_mcp_tool_calls=(
                automatically_trigger_response_for_mcp_tool_calls
            ),
            speech_interrupts=speech_interrupts,
            speaks_first=speaks_first,
            playback=playback,
            output_sample_rate=output_sample_rate,
            response_timeout=response_timeout,
            max_waiting_responses=max_waiting_responses,
            max_answered_calls=max_answered_calls,
            max_queued_events=max_queued_events,
            max_queued_bytes=max_queued_bytes,
            reconnect=reconnect,
            provider=profile,
            call=call,
        )
        self._options = options
        self._parts = assemble(self, agent, options, context, history)
        self._scope = self._parts.scope
        self._core = self._scope.core
        options.transport.attach(self)

    # State

    @property
    def initial_agent(self) -> RealtimeAgent[TContext]:
        """The agent that the session was made with."""
        return self._parts.roster.initial

    @property
    def current_agent(self) -> RealtimeAgent[TContext]:
        """The agent in charge."""
        return self._parts.roster.current

    @property
    def context(self) -> RunContextWrapper[TContext]:
        """The run context that tools, guardrails and instructions get."""
        return self._scope.context

    @property
    def usage(self) -> Usage:
        """The token usage of all responses so far."""
        return self._scope.context.usage

    @property
    def history(self) -> Sequence[HistoryItem]:
        """The conversation so far: one version of it, which does not change.

        In a tool, handoff or guardrail it is the version at the time of its call.
        """
        pinned = session_and_history.get()
        if pinned is not None and pinned[0] is self:
            return pinned[1]
        return self._core.history

    @property
    def dispatched(self) -> int:
        """The sequence number of what was dispatched last."""
        return self._core.dispatched

    @property
    def available_mcp_tools(self) -> tuple[McpTool, ...]:
        """The hosted MCP tools that the current agent may use."""
        return self._parts.mcp_tools.available

    @property
    def status(self) -> Literal["disconnected", "connecting", "connected", "reconnecting"]:
        """Where the connection stands."""
        return self._core.status

    @property
    def muted(self) -> bool:
        """Whether audio is dropped before it is sent."""
        return self._core.muted

    @property
    def options(self) -> Mapping[str, Any]:
        """The main options of the session; no secrets."""
        names = ("model", "config", "transport", "output_sample_rate")
        return {name: getattr(self._options, name) for name in names}

    @property
    def output_sample_rate(self) -> int:
        """The rate of `Audio` events, in Hz."""
        return self._options.output_sample_rate or self._parts.configuration.wire_rate

    def stats(self) -> SessionStats:
        """Counters of the session so far."""
        return session_stats(self._core)

    def snapshot(self) -> dict[str, Any]:
        """The session as JSON, for another process: see `restore`. It has no key, header or URL."""
        call_id, history = self._parts.connector.call_id, self._core.history
        return snapshot(self.current_agent, history, self.usage, self._options, call_id)

    @classmethod
    def restore(
        cls,
        snapshot: Mapping[str, Any] | str,
        *,
        agents: Sequence[RealtimeAgent[Any]],
        **options: Any,
    ) -> RealtimeSession[Any]:
        """A session that goes on with what another one left; `connect` it, or use `async with`.

        The server is told the history, calls that nobody had answered are run (or their approvals
        asked for) again, and an answer that was waited for is asked for.

        Args:
            snapshot: what `snapshot()` gave, or that as JSON text.
            agents: those that the session may have; the one in charge is found by its name.
            options: as for `RealtimeSession`; `model` and `config` are the snapshot's by default.

        Raises:
            ValueError: `snapshot` is none, or no agent has the name.
        """
        stored = checked(snapshot)
        for name in ("model", "config"):
            options.setdefault(name, stored[name])
        session = cls(agent_of(stored, agents), **options)
        restore_into(session._core, session.usage, stored)
        return session

    @property
    def transport(self) -> SessionTransport:
        """Sends events that have no method of their own: `session.transport.send_event(event)`."""
        return SessionTransport(self._scope, keeps=self)

    @property
    def probe(self) -> SessionProbe:
        """For `stapes.testing`; no part of the public interface."""
        its = self._parts
        return SessionProbe(self._scope, its.hub, its.connector, its.interest, its.approvals)

    def __del__(self) -> None:
        # A session that could not be made has no parts.
        if (parts := getattr(self, "_parts", None)) is not None:
            parts.hub.unregister(parts.scope.core)

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
        headers: Mapping[str, str | None] | None = None,
    ) -> None:
        """Connects and configures the session.

        In charge is the initial agent, or the one that `update_agent` has named meanwhile. It is
        done when the server has sent its first event, or nothing for the transport's
        `first_event_timeout`. An error in place of that event fails it, as does a close.

        Args:
            api_key: in place of the session's.
            model: in place of the session's.
            url: in place of the provider's.
            call_id: joins a phone call (SIP) that the provider holds.
            headers: added to the session's, or replace those of that name; `None` leaves one out.

        Raises:
            agents.UserError: there is no key, the session is connected already or was made on
                another event loop, or the agent has a tool that it cannot have.
            stapes.ConnectError: the connection could not be made; its subclasses say why.
            stapes.NotConnectedError: the session was closed meanwhile.
            stapes.CallError: its call has ended.
        """
        if not self._scope.tasks.is_here:
            raise UserError(
                "the session was made on another event loop, and is of no use on this one: make it "
                "where it connects"
            )
        with self._parts.switching.connecting() as agent:
            await self._parts.connector.connect(
                agent,
                api_key=api_key,
                model=self._parts.configuration.model(model),
                url=url,
                call_id=call_id,
                headers=headers,
            )

    def close(self) -> Completion[None]:
        """Closes the connection, if there is one.

        History, usage and agent stay. Tools go on running, but their results are dropped.
        """
        idle = self.status == "disconnected" and not self._parts.connector.is_busy
        self._parts.audio_input.cancel()
        self._core.close(1000, "")
        self._scope.tasks.here(self._parts.connector.abandon)
        self._parts.approvals.forget_calls()
        if idle:
            # No end of a connection will tell the readers.
            return self._parts.close_idle(self._parts.hub)
        return self._scope.tasks.flushed()

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
        # In a child of a fork that ends, the connection is its parent's.
        if not self._parts.hub.is_of_another_process:
            await self.close()

    async def initial_session_config(self, *, model: str | None = None) -> dict[str, Any]:
        """The configuration that `connect` would send, without connecting.

        For a provider's API that takes it, such as the one that accepts a SIP call.
        """
        agent, chosen = self._parts.roster.next, self._parts.configuration.model(model)
        return (await self._parts.configuration.initial(agent, chosen))[1]

    # Speaking

    def send_message(
        self,
        message: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        other_event_data: Mapping[str, Any] | None = None,
        trigger_response: bool = True,
    ) -> Completion[None]:
        """Sends a message of the user's and asks for a response.

        Args:
            message: text; or a message, or its parts, as the wire writes them. An `input_image`
                part names its picture as `image_url` or `image`.
            other_event_data: more keys for the `conversation.item.create` event.
            trigger_response: whether the model is to answer; else it only takes note.
        """
        event = message_event(message, other_event_data, self._options.provider)
        return self._scope.tasks.command(self._core.send_message, event, trigger_response)

    def add_image(self, image: str, *, trigger_response: bool = True) -> Completion[None]:
        """Shows the model an image: a URL, `data:` or other."""
        part = {"type": "input_image", "image_url": InputImage(image).image_url}
        return self.send_message([part], trigger_response=trigger_response)

    def send_audio(
        self, audio: Samples, *, sample_rate: int | None = None, commit: bool = False
    ) -> Completion[None]:
        """Sends the user's sound. May be called from any thread.

        While the session is connecting, the sound waits: up to 1 MiB of messages, about 16 seconds
        of PCM, past which the oldest is lost. Without a connection it is refused; where nobody
        awaits that, there is one `error` event until the session is connected again.

        Args:
            audio: PCM, 16 bit little endian, mono, as anything bytes-like, or a numpy array of
                int16 or float32 (-1 to 1), of shape `(n,)` or `(n, 1)`. Without `sample_rate` it is
                in the session's input format: for G.711 its bytes. Of no length, nothing is sent.
            sample_rate: the rate of `audio` in Hz; it is resampled to the session's.
            commit: the user's turn ends here (where turn detection is off). While muted, that is
                the turn of what was sent before.

        Returns:
            Awaited, it waits while more than the transport's `high_water` is waiting to be sent.

        Raises:
            ValueError: an odd number of bytes, or a rate that is not supported.
            TypeError: `audio` is none of the above.
        """
        try:
            congested = self._core.send_audio(audio, sample_rate, commit)
        except StapesError as error:
            return self._parts.audio_input.refused(error)
        # The coroutine that waits for room is made when somebody awaits: most senders never do.
        return Completion(wait=self._parts.audio_input.room, keeps=self) if congested else done()

    def stream_audio(
        self,
        audio: Samples | Recording,
        *,
        sample_rate: int | None = None,
        commit: bool = False,
        interval: float = 0.1,
    ) -> AudioStream:
        """Sends a long sound in real time, as if it were spoken: a recorded question, a call.

        Rust paces the sound, independently of the event loop. One sound streams at a time; chunks
        from `send_audio` go in between. While the session is muted the sound advances unsent; while
        the server does not read it pauses. `close` ends it.

        Args:
            audio: as for `send_audio`, or a `stapes.audio.Recording`, which sessions share.
            sample_rate: as for `send_audio`; a `Recording` has its own.
            commit: the user's turn ends after it (where turn detection is off).
            interval: seconds between two messages, and of sound in each: 0.005 to 10.

        Returns:
            Awaited, it waits until the sound would have been spoken to its end, and gives the
            seconds of it that were sent. `cancel()` ends it at once.

        Raises:
            ValueError: as `send_audio`; or `audio` is empty, or `interval` out of range.
            TypeError: `audio` is none of the above.
        """
        stream = self._parts.audio_input.stream
        return stream(audio, sample_rate, commit, interval, keeps=self)

    def playback_reported(self, item_id: str, content_index: int, milliseconds: float) -> None:
        """Reports how much of an answer's part has been played since its beginning.

        For a transport that reports playback, or a player that counts by itself; see
        `stapes.PlaybackTracker` for one that counts for you. May be called from any thread.
        """
        self._core.playback_reported(item_id, content_index, milliseconds)

    def played(self) -> Completion[bool]:
        """Waits until what was asked for has been heard: to say goodbye, then hang up.

        Awaited, it waits until no response is in progress or requested, and nothing is left to
        play, by the session's `playback`. It gives `True` where all of it was heard to its end,
        `False` where an answer was cut meanwhile, or the connection ended. It waits for no tool:
        the answer to what a tool finds is not asked for before.
        """
        return Completion(wait=self._parts.until_played, keeps=self)

    def mute(self, muted: bool = True) -> Completion[None]:
        """Drops the user's audio before it is sent, or stops dropping it."""
        self._core.mute(muted)
        return done()

    def interrupt(self) -> Completion[None]:
        """Cancels the answer, if any, and cuts it where it is; awaited, the history shows that."""
        self._core.interrupt()
        return Completion(wait=self._scope.tasks.until_dispatched, keeps=self)

    def request_response(self, response: Mapping[str, Any] | None = None) -> Completion[None]:
        """Asks for a response, with these settings for it if any."""
        text = response_settings(response, self._options.provider)
        return self._scope.tasks.command(self._core.request_response, text)

    def update_history(
        self,
        history: Sequence[HistoryItem | Mapping[str, Any]]
        | Callable[[list[HistoryItem]], Sequence[HistoryItem | Mapping[str, Any]]],
    ) -> Completion[None]:
        """Rewrites the conversation: what differs is deleted and created at the server.

        `session.history` changes as the server confirms. The assistant's audio is sent as text, as
        far as it was heard; a function call together with its output.

        Args:
            history: the new one (items, or `stapes.items.items_to_dicts` of them), or a function
                that makes it from a list of the old one. What has no words or no output stays out.

        Returns:
            It fails with `agents.UserError` where MCP items are added or changed.
        """
        return update_history(self._scope, self._options.provider, history)

    # Agents and approvals

    def update_agent(self, agent: RealtimeAgent[TContext]) -> Completion[RealtimeAgent[TContext]]:
        """Puts another agent in charge: at once, or of the next connection where there is none.

        Raises:
            TypeError: `agent` is none.
        """
        check_agent(agent)
        return self._scope.tasks.completion(self._parts.switching.update(agent))

    def approve(self, approval: ToolApproval, *, always: bool = False) -> Completion[None]:
        """Allows a call. Awaited, it waits for the tool.

        Args:
            approval: from a `ToolApprovalRequested` event. A second decision changes nothing.
            always: the same for later calls of this tool by this agent.

        Returns:
            It fails with `agents.ModelBehaviorError` where the request's connection is over.
        """
        return self._parts.calls.decide(approval, approve=True, always=always)

    def reject(
        self, approval: ToolApproval, *, message: str | None = None, always: bool = False
    ) -> Completion[None]:
        """Rejects a call; the model gets `message`, or the default one."""
        return self._parts.calls.decide(approval, approve=False, always=always, message=message)

    def _listening(self) -> tuple[Listeners, bool]:
        over = self._parts.is_over and not self._parts.connector.is_busy
        return self._parts.listeners, over
