"""Callbacks and readers of a session's events, typed by the name or the class of the event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar, overload

from stapes import events as ev

if TYPE_CHECKING:
    from stapes.session.dispatch.listeners import Listeners
    from stapes.session.dispatch.readers import EventReader

__all__ = ["EventSource"]

A = TypeVar("A", bound=ev.AnyEvent)
B = TypeVar("B", bound=ev.AnyEvent)
C = TypeVar("C", bound=ev.AnyEvent)
D = TypeVar("D", bound=ev.AnyEvent)
K = TypeVar("K", bound=ev.AnyEvent)
R = TypeVar("R")

_Call: TypeAlias = Callable[[K], R]
_N: TypeAlias = int | None


class _Mark(Protocol[K]):
    """A decorator for a function that takes such an event."""

    def __call__(self, function: Callable[[K], R], /) -> Callable[[K], R]: ...


class EventSource:
    """The listening half of `RealtimeSession`."""

    def _listening(self) -> tuple[Listeners, bool]:
        """The listeners, and whether nothing more comes."""
        raise NotImplementedError

    @overload
    def on(
        self,
        event: Literal["transport_event"],
        callback: _Call[ev.TransportEvent, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.TransportEvent, R]: ...
    @overload
    def on(
        self, event: Literal["transport_event"], *, concurrency: _N = None
    ) -> _Mark[ev.TransportEvent]: ...
    @overload
    def on(
        self,
        event: Literal["connection_changed"],
        callback: _Call[ev.ConnectionChanged, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.ConnectionChanged, R]: ...
    @overload
    def on(
        self, event: Literal["connection_changed"], *, concurrency: _N = None
    ) -> _Mark[ev.ConnectionChanged]: ...
    @overload
    def on(
        self,
        event: Literal["session_restored"],
        callback: _Call[ev.SessionRestored, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.SessionRestored, R]: ...
    @overload
    def on(
        self, event: Literal["session_restored"], *, concurrency: _N = None
    ) -> _Mark[ev.SessionRestored]: ...
    @overload
    def on(
        self,
        event: Literal["media_changed"],
        callback: _Call[ev.MediaChanged, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.MediaChanged, R]: ...
    @overload
    def on(
        self, event: Literal["media_changed"], *, concurrency: _N = None
    ) -> _Mark[ev.MediaChanged]: ...
    @overload
    def on(
        self,
        event: Literal["agent_start"],
        callback: _Call[ev.AgentStart, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.AgentStart, R]: ...
    @overload
    def on(
        self, event: Literal["agent_start"], *, concurrency: _N = None
    ) -> _Mark[ev.AgentStart]: ...
    @overload
    def on(
        self,
        event: Literal["agent_end"],
        callback: _Call[ev.AgentEnd, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.AgentEnd, R]: ...
    @overload
    def on(self, event: Literal["agent_end"], *, concurrency: _N = None) -> _Mark[ev.AgentEnd]: ...
    @overload
    def on(
        self,
        event: Literal["response_done"],
        callback: _Call[ev.ResponseDone, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.ResponseDone, R]: ...
    @overload
    def on(
        self, event: Literal["response_done"], *, concurrency: _N = None
    ) -> _Mark[ev.ResponseDone]: ...
    @overload
    def on(
        self,
        event: Literal["agent_handoff"],
        callback: _Call[ev.AgentHandoff, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.AgentHandoff, R]: ...
    @overload
    def on(
        self, event: Literal["agent_handoff"], *, concurrency: _N = None
    ) -> _Mark[ev.AgentHandoff]: ...
    @overload
    def on(
        self,
        event: Literal["agent_tool_start"],
        callback: _Call[ev.AgentToolStart, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.AgentToolStart, R]: ...
    @overload
    def on(
        self, event: Literal["agent_tool_start"], *, concurrency: _N = None
    ) -> _Mark[ev.AgentToolStart]: ...
    @overload
    def on(
        self,
        event: Literal["agent_tool_end"],
        callback: _Call[ev.AgentToolEnd, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.AgentToolEnd, R]: ...
    @overload
    def on(
        self, event: Literal["agent_tool_end"], *, concurrency: _N = None
    ) -> _Mark[ev.AgentToolEnd]: ...
    @overload
    def on(
        self,
        event: Literal["tool_approval_requested"],
        callback: _Call[ev.ToolApprovalRequested, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.ToolApprovalRequested, R]: ...
    @overload
    def on(
        self, event: Literal["tool_approval_requested"], *, concurrency: _N = None
    ) -> _Mark[ev.ToolApprovalRequested]: ...
    @overload
    def on(
        self,
        event: Literal["audio_start"],
        callback: _Call[ev.AudioStart, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.AudioStart, R]: ...
    @overload
    def on(
        self, event: Literal["audio_start"], *, concurrency: _N = None
    ) -> _Mark[ev.AudioStart]: ...
    @overload
    def on(
        self, event: Literal["audio"], callback: _Call[ev.Audio, R], *, concurrency: _N = None
    ) -> _Call[ev.Audio, R]: ...
    @overload
    def on(self, event: Literal["audio"], *, concurrency: _N = None) -> _Mark[ev.Audio]: ...
    @overload
    def on(
        self,
        event: Literal["audio_stopped"],
        callback: _Call[ev.AudioStopped, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.AudioStopped, R]: ...
    @overload
    def on(
        self, event: Literal["audio_stopped"], *, concurrency: _N = None
    ) -> _Mark[ev.AudioStopped]: ...
    @overload
    def on(
        self,
        event: Literal["audio_interrupted"],
        callback: _Call[ev.AudioInterrupted, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.AudioInterrupted, R]: ...
    @overload
    def on(
        self, event: Literal["audio_interrupted"], *, concurrency: _N = None
    ) -> _Mark[ev.AudioInterrupted]: ...
    @overload
    def on(
        self,
        event: Literal["playback_ended"],
        callback: _Call[ev.PlaybackEnded, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.PlaybackEnded, R]: ...
    @overload
    def on(
        self, event: Literal["playback_ended"], *, concurrency: _N = None
    ) -> _Mark[ev.PlaybackEnded]: ...
    @overload
    def on(
        self,
        event: Literal["transcript_delta"],
        callback: _Call[ev.TranscriptDelta, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.TranscriptDelta, R]: ...
    @overload
    def on(
        self, event: Literal["transcript_delta"], *, concurrency: _N = None
    ) -> _Mark[ev.TranscriptDelta]: ...
    @overload
    def on(
        self,
        event: Literal["transcription_failed"],
        callback: _Call[ev.TranscriptionFailed, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.TranscriptionFailed, R]: ...
    @overload
    def on(
        self, event: Literal["transcription_failed"], *, concurrency: _N = None
    ) -> _Mark[ev.TranscriptionFailed]: ...
    @overload
    def on(
        self,
        event: Literal["idle_timeout_triggered"],
        callback: _Call[ev.IdleTimeoutTriggered, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.IdleTimeoutTriggered, R]: ...
    @overload
    def on(
        self, event: Literal["idle_timeout_triggered"], *, concurrency: _N = None
    ) -> _Mark[ev.IdleTimeoutTriggered]: ...
    @overload
    def on(
        self,
        event: Literal["dtmf_received"],
        callback: _Call[ev.DtmfReceived, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.DtmfReceived, R]: ...
    @overload
    def on(
        self, event: Literal["dtmf_received"], *, concurrency: _N = None
    ) -> _Mark[ev.DtmfReceived]: ...
    @overload
    def on(
        self,
        event: Literal["call_playback_changed"],
        callback: _Call[ev.CallPlaybackChanged, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.CallPlaybackChanged, R]: ...
    @overload
    def on(
        self, event: Literal["call_playback_changed"], *, concurrency: _N = None
    ) -> _Mark[ev.CallPlaybackChanged]: ...
    @overload
    def on(
        self,
        event: Literal["guardrail_tripped"],
        callback: _Call[ev.GuardrailTripped, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.GuardrailTripped, R]: ...
    @overload
    def on(
        self, event: Literal["guardrail_tripped"], *, concurrency: _N = None
    ) -> _Mark[ev.GuardrailTripped]: ...
    @overload
    def on(
        self,
        event: Literal["history_added"],
        callback: _Call[ev.HistoryAdded, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.HistoryAdded, R]: ...
    @overload
    def on(
        self, event: Literal["history_added"], *, concurrency: _N = None
    ) -> _Mark[ev.HistoryAdded]: ...
    @overload
    def on(
        self,
        event: Literal["history_updated"],
        callback: _Call[ev.HistoryUpdated, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.HistoryUpdated, R]: ...
    @overload
    def on(
        self, event: Literal["history_updated"], *, concurrency: _N = None
    ) -> _Mark[ev.HistoryUpdated]: ...
    @overload
    def on(
        self,
        event: Literal["mcp_tools_changed"],
        callback: _Call[ev.McpToolsChanged, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.McpToolsChanged, R]: ...
    @overload
    def on(
        self, event: Literal["mcp_tools_changed"], *, concurrency: _N = None
    ) -> _Mark[ev.McpToolsChanged]: ...
    @overload
    def on(
        self,
        event: Literal["mcp_tool_call_completed"],
        callback: _Call[ev.McpToolCallCompleted, R],
        *,
        concurrency: _N = None,
    ) -> _Call[ev.McpToolCallCompleted, R]: ...
    @overload
    def on(
        self, event: Literal["mcp_tool_call_completed"], *, concurrency: _N = None
    ) -> _Mark[ev.McpToolCallCompleted]: ...
    @overload
    def on(
        self, event: Literal["lagging"], callback: _Call[ev.Lagging, R], *, concurrency: _N = None
    ) -> _Call[ev.Lagging, R]: ...
    @overload
    def on(self, event: Literal["lagging"], *, concurrency: _N = None) -> _Mark[ev.Lagging]: ...
    @overload
    def on(
        self, event: Literal["error"], callback: _Call[ev.Error, R], *, concurrency: _N = None
    ) -> _Call[ev.Error, R]: ...
    @overload
    def on(self, event: Literal["error"], *, concurrency: _N = None) -> _Mark[ev.Error]: ...
    @overload
    def on(
        self, event: Literal["*"], callback: _Call[ev.SessionEvent, R], *, concurrency: _N = None
    ) -> _Call[ev.SessionEvent, R]: ...
    @overload
    def on(self, event: Literal["*"], *, concurrency: _N = None) -> _Mark[ev.SessionEvent]: ...
    def on(
        self,
        event: str,
        callback: Callable[[Any], Any] | None = None,
        *,
        concurrency: int | None = None,
    ) -> Any:
        """Calls `callback` (sync or async) with each event of that type; also as a decorator.

        Args:
            event: the type's name, such as `"audio"`, or `"*"` for all but `transport_event`.
            callback: if it raises, that becomes an `error` event, and the others are still called.
                An async one gets its events one after the other; what waits for it is bounded and
                purged as for a reader. Those for requests for approval overlap.
            concurrency: calls of an async callback that may be at work at once. Default 1.

        Raises:
            ValueError: there is no such type, or `concurrency` is below 1.
            TypeError: `callback` cannot be called, or it yields.
        """
        if callback is None:
            return lambda function: self.on(event, function, concurrency=concurrency)  # type: ignore[call-overload]
        self._listening()[0].on(event, callback, concurrency)
        return callback

    def off(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Stops calling `callback`."""
        self._listening()[0].off(event, callback)

    def __aiter__(self) -> AsyncIterator[ev.SessionEvent]:
        return self.events()

    @overload
    def events(self) -> EventReader[ev.SessionEvent]: ...
    @overload
    def events(self, kind: type[A], /) -> EventReader[A]: ...
    @overload
    def events(self, kind: type[A], kind_2: type[B], /) -> EventReader[A | B]: ...
    @overload
    def events(
        self, kind: type[A], kind_2: type[B], kind_3: type[C], /
    ) -> EventReader[A | B | C]: ...
    @overload
    def events(
        self, kind: type[A], kind_2: type[B], kind_3: type[C], kind_4: type[D], /
    ) -> EventReader[A | B | C | D]: ...
    @overload
    def events(self, *kinds: type[ev.AnyEvent]) -> EventReader[ev.AnyEvent]: ...
    def events(self, *kinds: type[Any]) -> EventReader[Any]:
        """Iterates over the events of these classes, or over all but `TransportEvent`.

        Each reader gets every event, and keeps the session alive. Events from before anybody
        listens, here or with `on`, are kept for the first reader, within the bounds of the session.

        Raises:
            TypeError: one of `kinds` is no class of an event.
            ConsumerTooSlow: from the reader, when more than `max_queued_events` wait for it and
                none of them may be dropped. The reader has ended then; if it reads all events, so
                has the connection.
        """
        listeners, over = self._listening()
        return listeners.read(kinds, over=over, keeps=self)
