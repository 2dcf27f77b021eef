"""The messages of the core: one class for each kind, in the order of its fields.

A message that users see as it is has no class here but one of `stapes.events`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stapes import _core, events

if TYPE_CHECKING:
    from stapes import items

__all__ = [
    "AudioDrained",
    "AudioInterrupted",
    "AudioStarted",
    "AudioStopped",
    "AudioStreamed",
    "FunctionCall",
    "GuardrailDue",
    "LocalEvent",
    "McpApprovalRequested",
    "McpCallCompleted",
    "McpToolsListed",
    "ModelError",
    "NotOpened",
    "NotSent",
    "Opened",
    "OutgoingMessage",
    "OutgoingReady",
    "ProtocolError",
    "Raw",
    "ResponseEnded",
    "ResponseStarted",
    "ServerError",
    "TooSlow",
    "UnansweredRequest",
    "from_tuple",
]


@dataclass(frozen=True, slots=True)
class Raw:
    """An event of the server, as JSON text."""

    text: str


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """A response has begun."""

    response_id: str | None
    agent_version: int


@dataclass(frozen=True, slots=True)
class ResponseEnded:
    """A response is over."""

    response_id: str | None
    agent_version: int
    item_id: str | None
    output: str
    source: str
    status: str | None
    status_details: str | None
    """JSON text."""
    usage: str | None
    """JSON text."""
    created: float | None
    """Seconds, as in `stapes.Timings`; the next two as well."""
    first_audio: float | None
    done: float | None
    response_index: int
    connection_id: int


@dataclass(frozen=True, slots=True)
class AudioStarted:
    """The first audio of an answer has come."""

    agent_version: int


@dataclass(frozen=True, slots=True)
class AudioStopped:
    """All audio of an answer has been generated."""

    agent_version: int


@dataclass(frozen=True, slots=True)
class AudioInterrupted:
    """An answer was interrupted."""

    agent_version: int
    response_id: str


@dataclass(frozen=True, slots=True)
class GuardrailDue:
    """So much of an answer has been said that the guardrails are to look at it."""

    response_id: str
    item_id: str
    text: str
    source: str
    agent_version: int
    response_index: int
    connection_id: int


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """The model calls a tool, or hands off."""

    call_id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""
    item_id: str
    response_id: str
    agent_version: int
    connection_id: int


@dataclass(frozen=True, slots=True)
class McpToolsListed:
    """A hosted MCP server has listed its tools."""

    server_label: str
    tools: str
    """JSON text."""


@dataclass(frozen=True, slots=True)
class McpApprovalRequested:
    """A call of a hosted MCP server waits for a decision."""

    item: items.McpApprovalRequestItem
    agent_version: int
    connection_id: int


@dataclass(frozen=True, slots=True)
class McpCallCompleted:
    """A call of a hosted MCP server is complete."""

    item: items.McpCallItem
    agent_version: int


@dataclass(frozen=True, slots=True)
class ServerError:
    """The server sent an `error` event."""

    event: str
    """JSON text."""


@dataclass(frozen=True, slots=True)
class ProtocolError:
    """The server sent something that the protocol does not have."""

    message: str


@dataclass(frozen=True, slots=True)
class ModelError:
    """The model did something that it cannot do."""

    message: str


@dataclass(frozen=True, slots=True)
class UnansweredRequest:
    """The server left a request for a response unanswered."""

    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """A message was not sent, because the connection was over."""

    message: str


@dataclass(frozen=True, slots=True)
class LocalEvent:
    """The turn of a staged event has come."""

    token: int


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message was queued for the server, as JSON text."""

    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection stands."""

    connection_id: int


@dataclass(frozen=True, slots=True)
class NotOpened:
    """A connection could not be made; no `error`: the session was closed meanwhile."""

    connection_id: int
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class OutgoingReady:
    """A transport of the user's has something to send."""


@dataclass(frozen=True, slots=True)
class AudioDrained:
    """There is room for more of the user's sound."""


@dataclass(frozen=True, slots=True)
class AudioStreamed:
    """A long sound has ended: so many seconds of it were sent."""

    token: int
    sent: float
    failure: BaseException | None


@dataclass(frozen=True, slots=True)
class TooSlow:
    """Too many messages waited for the event loop: the connection is closed."""

    waiting: int


_CLASSES: dict[str, type[Any]] = {
    "raw": Raw,
    "connection_changed": events.ConnectionChanged,
    "response_started": ResponseStarted,
    "response_done": ResponseEnded,
    "audio_started": AudioStarted,
    "audio_stopped": AudioStopped,
    "audio_interrupted": AudioInterrupted,
    "transcript_delta": events.TranscriptDelta,
    "guardrail_due": GuardrailDue,
    "function_call": FunctionCall,
    "history_added": events.HistoryAdded,
    "history_updated": events.HistoryUpdated,
    "mcp_tools_listed": McpToolsListed,
    "mcp_approval_requested": McpApprovalRequested,
    "mcp_call_completed": McpCallCompleted,
    "server_error": ServerError,
    "protocol_error": ProtocolError,
    "model_error": ModelError,
    "unanswered": UnansweredRequest,
    "not_sent": NotSent,
    "local": LocalEvent,
    "outgoing": OutgoingMessage,
    "opened": Opened,
    "not_opened": NotOpened,
    "drained": AudioDrained,
    "outgoing_ready": OutgoingReady,
    "streamed": AudioStreamed,
    "lagging": events.Lagging,
    "too_slow": TooSlow,
}
_BY_KIND = tuple(_CLASSES[name] for name in _core.WORDS)


def from_tuple(word: tuple[Any, ...]) -> Any:
    """A message of the tuple `(kind, *fields)` that the core makes; `_core.WORDS` has the kinds."""
    kind, *fields = word
    made = _BY_KIND[kind]
    if made is ResponseEnded:
        *before, timings, response_index, connection_id = fields
        fields = [*before, *timings, response_index, connection_id]
    return made(*fields)
