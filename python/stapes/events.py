"""What happens in a session: one frozen class for each kind of event.

`event.type` is the reference's name. Use them with `match`, or name the classes that you want to
`RealtimeSession.events`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from stapes.brief import by_name
from stapes.line_events import CallPlaybackChanged, DtmfReceived, IdleTimeoutTriggered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents import FunctionTool, OutputGuardrailTripwireTriggered, RunContextWrapper
    from agents.realtime import RealtimeAgent

    from stapes.approvals import ToolApproval
    from stapes.items import HistoryItem, McpCallItem

__all__ = [
    "AgentEnd",
    "AgentHandoff",
    "AgentStart",
    "AgentToolEnd",
    "AgentToolStart",
    "AnyEvent",
    "Audio",
    "AudioInterrupted",
    "AudioStart",
    "AudioStopped",
    "CallPlaybackChanged",
    "ConnectionChanged",
    "DtmfReceived",
    "Error",
    "GuardrailTripped",
    "HistoryAdded",
    "HistoryUpdated",
    "IdleTimeoutTriggered",
    "Lagging",
    "McpTool",
    "McpToolCallCompleted",
    "McpToolsChanged",
    "MediaChanged",
    "PlaybackEnded",
    "ResponseDone",
    "SessionEvent",
    "SessionRestored",
    "Timings",
    "ToolApprovalRequested",
    "ToolCall",
    "TranscriptDelta",
    "TranscriptionFailed",
    "TransportEvent",
]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model made."""

    call_id: str
    name: str
    """The tool's name."""
    arguments: str
    """JSON, as the model wrote it."""
    item_id: str
    response_id: str


@dataclass(frozen=True, slots=True)
class TransportEvent:
    """An event of the server, as it came."""

    event: dict[str, Any]
    """The event as a dictionary."""
    size: int = field(default=0, repr=False, compare=False)
    """Characters that it had on the wire."""
    type: ClassVar[Literal["transport_event"]] = "transport_event"


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The connection is being made, stands, or is over.

    Attributes:
        status: where it stands. `reconnecting`: it was lost, and another one is being made for the
            same conversation; see `stapes.ReconnectPolicy`.
        reason: why it is over, in words.
        code: the WebSocket close code that the server gave, if it gave one.
        error: the exception, where the connection was lost or could not be made: a
            `stapes.ConnectionLostError`, or what `connect` raises. `None` where it was closed, by
            this side or by the server as it was to be.
        retryable: whether a new connection, made in the same way, may fare better.
        retry_after: seconds that the server asks to wait before that, if it does.
    """

    status: Literal["disconnected", "connecting", "connected", "reconnecting"]
    reason: str | None = None
    code: int | None = None
    error: BaseException | None = field(default=None, compare=False)
    retryable: bool = False
    retry_after: float | None = None
    type: ClassVar[Literal["connection_changed"]] = "connection_changed"


@dataclass(frozen=True, slots=True)
class SessionRestored:
    """The conversation goes on over another connection.

    Attributes:
        reason: `lost` (the connection broke), `expired` (its time was over), or `rollover`
            (another connection took over before that).
        gap: seconds without a connection; 0 after a rollover.
        items: of the history, which the new connection was told.
        left_out: items that it was not told: they exceed the bounds of the policy, or nothing is
            known of their words.
        resumed: the server had the conversation still, and was told nothing.
    """

    reason: str
    gap: float
    items: int
    left_out: int
    resumed: bool
    type: ClassVar[Literal["session_restored"]] = "session_restored"


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """The answer's sound on a media track does not come, comes again, or is lost with the call.

    Attributes:
        status: `stalled`: none came while an answer plays, or nothing came from the server at all.
            `resumed`: it comes again. `lost`: the call ended before it did; a `ConnectionChanged`
            follows.
        silence: seconds for which none had come.
    """

    status: Literal["stalled", "resumed", "lost"]
    silence: float
    type: ClassVar[Literal["media_changed"]] = "media_changed"


@dataclass(frozen=True, slots=True)
class AgentStart:
    """The agent begins a response."""

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    response_id: str | None = None
    type: ClassVar[Literal["agent_start"]] = "agent_start"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class AgentEnd:
    """A response is over. `output` is its last text, spoken or written; empty if there was none."""

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    output: str
    """Its last text; empty if there was none."""
    response_id: str | None = None
    type: ClassVar[Literal["agent_end"]] = "agent_end"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class Timings:
    """When things of a turn happened: seconds since the user stopped speaking.

    Where no speech was seen to end, since the response was asked for. `None` for what did not
    happen.
    """

    created: float | None
    """The server began the response."""
    first_audio: float | None
    """The first sound of it came."""
    done: float | None
    """It was over."""


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """A response is over: how, at what cost, and how fast."""

    agent: RealtimeAgent[Any]
    response_id: str | None
    status: str | None
    """The provider's: completed, cancelled, failed, incomplete.

    Where the connection was lost before the response's end, `incomplete`, and the reason in
    `status_details` is `connection_lost`.
    """
    status_details: dict[str, Any] | None
    """Why, in the provider's terms."""
    usage: dict[str, Any] | None
    """The provider's token counts, as they came."""
    timings: Timings
    """How fast it was."""
    out_of_band: bool = False
    """It belongs to no conversation (`"conversation": "none"` in its request): its output is in
    `items` alone, not in the history, and there is no `AgentStart` and `AgentEnd` for it."""
    metadata: dict[str, Any] | None = None
    """What the request for it gave to know it by."""
    items: tuple[dict[str, Any], ...] = ()
    """Its output, as the provider states it."""
    type: ClassVar[Literal["response_done"]] = "response_done"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class AgentHandoff:
    """Another agent is in charge."""

    context: RunContextWrapper[Any]
    from_agent: RealtimeAgent[Any]
    """The agent that was in charge."""
    to_agent: RealtimeAgent[Any]
    """The agent that is now."""
    type: ClassVar[Literal["agent_handoff"]] = "agent_handoff"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class AgentToolStart:
    """A tool begins."""

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    tool: FunctionTool
    tool_call: ToolCall
    type: ClassVar[Literal["agent_tool_start"]] = "agent_tool_start"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class AgentToolEnd:
    """A tool has answered: `result` is the text that the model gets."""

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    tool: FunctionTool
    result: str
    """The text that the model gets."""
    tool_call: ToolCall
    type: ClassVar[Literal["agent_tool_end"]] = "agent_tool_end"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class ToolApprovalRequested:
    """A call waits for `session.approve(event.approval)` or `session.reject(event.approval)`."""

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    approval: ToolApproval
    """What `session.approve` and `session.reject` take."""
    type: ClassVar[Literal["tool_approval_requested"]] = "tool_approval_requested"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class AudioStart:
    """The first audio of an answer has come; an `Audio` follows."""

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    type: ClassVar[Literal["audio_start"]] = "audio_start"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound of the answer.

    `data` is in the session's output format: PCM, 16 bit little endian, mono, 24 kHz, unless the
    session is configured otherwise or resamples (`RealtimeSession(output_sample_rate=...)`).
    """

    data: bytes
    """The samples."""
    response_id: str
    item_id: str
    content_index: int = 0
    type: ClassVar[Literal["audio"]] = "audio"


@dataclass(frozen=True, slots=True)
class AudioStopped:
    """All audio of an answer has been generated. It may still be playing."""

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    type: ClassVar[Literal["audio_stopped"]] = "audio_stopped"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class AudioInterrupted:
    """The answer was interrupted: stop playing it. What was queued of it is gone already.

    The history has its cut version by now. There is one such event for each response that was
    playing, or waiting to be played.
    """

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    response_id: str = ""
    type: ClassVar[Literal["audio_interrupted"]] = "audio_interrupted"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    """A response that is over was heard to its end, or was cut.

    When that is follows from `RealtimeSession(playback=...)`: from the clock, or from what your
    player reports. A response without audio has no such event.
    """

    response_id: str
    played_ms: int
    """Milliseconds of its audio that were heard."""
    interrupted: bool
    """It was cut: something of it was not heard."""
    type: ClassVar[Literal["playback_ended"]] = "playback_ended"


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    """Words, as they come: of the assistant's speech or text, or of the user's transcription."""

    role: Literal["user", "assistant"]
    """Whose words they are."""
    delta: str
    """The words that are new."""
    item_id: str
    response_id: str | None = None
    content_index: int = 0
    type: ClassVar[Literal["transcript_delta"]] = "transcript_delta"


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    """The provider could not transcribe what the user said. The model heard it all the same.

    An `Error` with the server's event follows.
    """

    item_id: str
    content_index: int
    message: str
    """The provider's reason, in its words."""
    code: str | None = None
    """The provider's code, such as `DeploymentNotFound`."""
    type: ClassVar[Literal["transcription_failed"]] = "transcription_failed"


@dataclass(frozen=True, slots=True)
class GuardrailTripped:
    """An output guardrail stopped an answer."""

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    error: OutputGuardrailTripwireTriggered
    """Its `guardrail_result` says what was found."""
    item_id: str
    response_id: str = ""
    """The response of the answer that is stopped."""
    type: ClassVar[Literal["guardrail_tripped"]] = "guardrail_tripped"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class HistoryAdded:
    """A new item is in the history."""

    item: HistoryItem
    """The new item."""
    type: ClassVar[Literal["history_added"]] = "history_added"


@dataclass(frozen=True, slots=True)
class HistoryUpdated:
    """The history has changed. `history` is this version of it, whatever comes later."""

    history: Sequence[HistoryItem]
    """All items, in order."""
    type: ClassVar[Literal["history_updated"]] = "history_updated"


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of a hosted MCP server."""

    name: str
    """The tool's name."""
    description: str | None = None
    """What it is for."""
    input_schema: dict[str, Any] | None = None
    """A JSON schema."""
    annotations: dict[str, Any] | None = None
    """As the server gives them."""


@dataclass(frozen=True, slots=True)
class McpToolsChanged:
    """The hosted MCP tools that the current agent may use are others than before."""

    tools: tuple[McpTool, ...]
    """All that it may use now."""
    type: ClassVar[Literal["mcp_tools_changed"]] = "mcp_tools_changed"


@dataclass(frozen=True, slots=True)
class McpToolCallCompleted:
    """The provider has completed a call to a hosted MCP server."""

    context: RunContextWrapper[Any]
    agent: RealtimeAgent[Any]
    tool_call: McpCallItem
    type: ClassVar[Literal["mcp_tool_call_completed"]] = "mcp_tool_call_completed"
    __repr__ = by_name


@dataclass(frozen=True, slots=True)
class Lagging:
    """A reader is slow: these were dropped, oldest first, since the last time."""

    audio: int = 0
    """How many `Audio` events."""
    transport_events: int = 0
    """How many `TransportEvent` events."""
    transcript_deltas: int = 0
    """Only those that no later delta of the same part could take up."""
    type: ClassVar[Literal["lagging"]] = "lagging"


@dataclass(frozen=True, slots=True)
class Error:
    """Something went wrong; the session goes on.

    `error` is the exception: a `stapes.ServerError` for what the server reports, that is an `error`
    event, a response that failed, a transcription that failed, a call to a hosted MCP server or the
    listing of its tools that failed; a `stapes.ToolOutputNotSent` for a tool whose answer the model
    does not get, because the connection was lost.
    """

    error: BaseException
    """The exception."""
    context: str | None = field(default=None, compare=False)
    """Where it happened, in words, such as `tool weather`."""
    tool_call: ToolCall | None = field(default=None, compare=False)
    """The call that failed, where it is that of a tool."""
    type: ClassVar[Literal["error"]] = "error"


SessionEvent: TypeAlias = (
    ConnectionChanged
    | SessionRestored
    | MediaChanged
    | AgentStart
    | AgentEnd
    | ResponseDone
    | AgentHandoff
    | AgentToolStart
    | AgentToolEnd
    | ToolApprovalRequested
    | AudioStart
    | Audio
    | AudioStopped
    | AudioInterrupted
    | PlaybackEnded
    | TranscriptDelta
    | TranscriptionFailed
    | IdleTimeoutTriggered
    | DtmfReceived
    | CallPlaybackChanged
    | GuardrailTripped
    | HistoryAdded
    | HistoryUpdated
    | McpToolsChanged
    | McpToolCallCompleted
    | Lagging
    | Error
)
"""What `session.events()` gives and `on("*", ...)` gets: all but `TransportEvent`."""

AnyEvent: TypeAlias = SessionEvent | TransportEvent
"""Any event."""
