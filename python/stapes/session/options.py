"""The options of a session: checked once, and frozen."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from agents.realtime import RealtimeAgent

from stapes import _core
from stapes.config import SessionConfig, check_config, whole_number
from stapes.playback import PlaybackTracker
from stapes.providers import Provider
from stapes.providers.refusing import binary_audio_needs
from stapes.session.history import begin_with
from stapes.session.reconnecting import ReconnectPolicy, reconnect_by
from stapes.transport import (
    RealtimeTransport,
    Transport,
    WebRTCTransport,
    WebSocketTransport,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agents import OutputGuardrail, ToolErrorFormatterArgs

    from stapes.items import HistoryItem
    from stapes.providers import ApiKey
    from stapes.session.coupling import CallerEnd
    from stapes.session.tool_calls.execution import ToolExecution

__all__ = ["CoreOptions", "SessionOptions", "check_agent", "chosen_transport", "core_session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """The parameters of `RealtimeSession`, which documents them and states their defaults.

    Those that only begin a session, `context` and `history`, are not kept.
    """

    transport: Transport
    api_key: ApiKey | None = field(repr=False)
    model: str | None
    output_guardrails: tuple[OutputGuardrail[Any], ...]
    output_guardrail_settings: Mapping[str, Any] | None
    config: SessionConfig
    history_store_audio: bool
    tracing_disabled: bool
    workflow_name: str | None
    group_id: str | None
    trace_metadata: Mapping[str, Any] | None
    tool_execution: ToolExecution
    tool_error_formatter: Callable[[ToolErrorFormatterArgs[Any]], Any] | None
    automatically_trigger_response_for_mcp_tool_calls: bool
    speech_interrupts: bool
    speaks_first: Literal["user", "agent"]
    playback: Literal["clock"] | PlaybackTracker
    output_sample_rate: int | None
    response_timeout: float
    max_waiting_responses: int
    max_answered_calls: int
    max_queued_events: int
    max_queued_bytes: int
    provider: Provider
    reconnect: ReconnectPolicy | None
    call: CallerEnd | None

    def __post_init__(self) -> None:
        """Refuses options that a session cannot have.

        Raises:
            ValueError, TypeError: names the option that is wrong.
        """
        check_config(self.config)
        if not (self.api_key is None or isinstance(self.api_key, str) or callable(self.api_key)):
            raise TypeError(
                "api_key must be a string or a function that gets one, "
                f"not {type(self.api_key).__name__}"
            )
        if not isinstance(self.provider, Provider):
            raise TypeError(
                "provider must be a name or a stapes.providers.Provider, "
                f"not {type(self.provider).__name__}"
            )
        if not (self.reconnect is None or isinstance(self.reconnect, ReconnectPolicy)):
            raise TypeError(
                "reconnect must be a stapes.ReconnectPolicy, or None, "
                f"not {type(self.reconnect).__name__}"
            )
        if self.speaks_first not in ("user", "agent"):
            raise ValueError(f"speaks_first is {self.speaks_first!r}: use 'user' or 'agent'")
        if not isinstance(self.playback, PlaybackTracker) and self.playback != "clock":
            raise ValueError(f"playback is {self.playback!r}: use 'clock' or a PlaybackTracker()")
        if self.call is not None and self.playback != "clock":
            raise ValueError(
                "playback: what the caller has heard is known from the call: leave it out"
            )
        for name in (
            "max_waiting_responses",
            "max_answered_calls",
            "max_queued_events",
            "max_queued_bytes",
        ):
            whole_number(getattr(self, name), name, at_least=1)
        if self.output_sample_rate is not None:
            whole_number(self.output_sample_rate, "output_sample_rate", at_least=1)
        for key in self.output_guardrail_settings or ():
            if key != "debounce_text_length":
                raise ValueError(
                    f"output_guardrail_settings key {key!r} is unknown: use debounce_text_length"
                )


@dataclass(frozen=True, kw_only=True)
class CoreOptions:
    """What the core's half of a session is made with. Times are in seconds, sizes in bytes.

    Attributes:
        purpose: what the session is for.
        history_store_audio: keep the audio of messages in the history.
        guardrail_debounce: characters between two checks of an answer; negative: one at its end.
        speech_interrupts: a user who begins to speak interrupts the answer.
        resume_after: how long a caller who made a sound may say nothing before the answer that was
            paused for it goes on; `None`: it is interrupted at once.
        playback: what was played is worked out from the time, or reported, or the caller's end of a
            call tells.
        respond_to_mcp_calls: ask for a response when a hosted MCP call is complete.
        response_timeout: how long the server may leave a request for a response unanswered.
        waiting_responses: requests for a response with a payload that may wait.
        answered_calls: answered function calls that are remembered.
        high_water: senders wait while more than this is waiting to be sent.
        max_outgoing_bytes: what may wait to be sent.
        max_queued_events: messages that may wait for the event loop.
        max_queued_bytes: bytes of audio, raw events and text among them.
    """

    purpose: Literal["conversation", "transcription", "translation"] = "conversation"
    history_store_audio: bool = False
    guardrail_debounce: int = 100
    speech_interrupts: bool = True
    resume_after: float | None = None
    playback: Literal["clock", "reports", "caller"] = "clock"
    respond_to_mcp_calls: bool = True
    response_timeout: float = 30.0
    waiting_responses: int = 64
    answered_calls: int = 256
    high_water: int = 256 * 1024
    max_outgoing_bytes: int = 4 * 1024 * 1024
    max_queued_events: int = 10_000
    max_queued_bytes: int = 8 * 1024 * 1024


def check_agent(agent: object) -> None:
    """Refuses what is no agent.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(agent, RealtimeAgent):
        raise TypeError(
            f"agent must be a RealtimeAgent, not {type(agent).__name__}: "
            "stapes.RealtimeAgent(name=..., instructions=...)"
        )


@functools.cache
def _default_transport() -> WebSocketTransport:
    """The transport that sessions share which ask for no other."""
    return WebSocketTransport()


def chosen_transport(transport: Any) -> Transport:
    """The transport that the user asks for.

    Raises:
        ValueError: there is no such transport.
    """
    if transport == "websocket":
        return _default_transport()
    if transport == "webrtc":
        return WebRTCTransport()
    if isinstance(transport, WebSocketTransport | WebRTCTransport | RealtimeTransport):
        return transport
    raise ValueError(
        f"transport is {transport!r}: use 'websocket', 'webrtc', a WebSocketTransport(...), a "
        "WebRTCTransport(...), or an instance of a RealtimeTransport of your own"
    )


def core_session(
    options: SessionOptions,
    history: Sequence[HistoryItem | Mapping[str, Any]],
    hub: _core.Hub,
    *,
    virtual_clock: bool,
) -> _core.Session:
    """The core's half of a session with these options, whose connections begin with `history`."""
    transport = options.transport
    limits: WebSocketTransport | WebRTCTransport = _default_transport()
    if isinstance(transport, WebSocketTransport | WebRTCTransport):
        limits = transport
    binary_audio_needs(options.provider, websocket=isinstance(transport, WebSocketTransport))
    settings = options.output_guardrail_settings or {}
    playback: Literal["clock", "reports", "caller"] = "clock"
    if options.call is not None:
        playback = "caller"
    elif options.playback != "clock" or transport.playback_reports:
        playback = "reports"
    core = CoreOptions(
        history_store_audio=options.history_store_audio,
        guardrail_debounce=settings.get("debounce_text_length", CoreOptions.guardrail_debounce),
        speech_interrupts=options.speech_interrupts,
        resume_after=None if options.call is None else options.call.resume_after,
        playback=playback,
        respond_to_mcp_calls=options.automatically_trigger_response_for_mcp_tool_calls,
        response_timeout=options.response_timeout,
        waiting_responses=options.max_waiting_responses,
        answered_calls=options.max_answered_calls,
        high_water=limits.high_water,
        max_outgoing_bytes=limits.max_outgoing_bytes,
        max_queued_events=options.max_queued_events,
        max_queued_bytes=options.max_queued_bytes,
    )
    call = None if options.call is None else options.call.core
    session = _core.Session(hub, core, virtual_clock=virtual_clock, call=call)
    session.follow_profile(options.provider.dialect, options.provider.capabilities)
    if options.reconnect is not None:
        reconnect_by(session, options.reconnect, options.provider, limits.max_outgoing_bytes)
    begin_with(session, history, limits.max_outgoing_bytes, options.provider)
    return session
