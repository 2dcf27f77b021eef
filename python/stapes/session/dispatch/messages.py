"""The messages of the core: one class for each kind, whose instances are made and filled in Rust.

A kind that users see as it is has its class in `stapes.events` alone. Names and fields are those of
`stapes._core.MESSAGES`: a class that differs is refused when the first session is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stapes import items

__all__ = [
    "AudioDrained",
    "AudioInterrupted",
    "AudioStarted",
    "AudioStopped",
    "AudioStreamed",
    "ConnectionChanged",
    "CoreError",
    "FunctionCall",
    "GuardrailDue",
    "LocalEvent",
    "McpApprovalRequested",
    "McpCallCompleted",
    "McpToolsListed",
    "NotOpened",
    "Opened",
    "OutgoingMessage",
    "OutgoingReady",
    "Played",
    "Raw",
    "Redial",
    "ResponseEnded",
    "ResponseStarted",
    "TooSlow",
    "Transcribed",
    "TranscriptionUsage",
]


@dataclass(frozen=True, slots=True)
class Raw:
    """An event of the server, as JSON text."""

    text: str
    is_replay: bool
    """It is about an item that a new connection was told again, and no news."""


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The connection is being made, stands, or is over; all but `status` says how that came."""

    status: Literal["disconnected", "connecting", "connected", "reconnecting"]
    reason: str | None
    is_clean: bool | None
    code: int | None
    is_retryable: bool | None
    retry_after: float | None
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Redial:
    """Another connection is due: the session layer decides, and says where to."""

    attempt: int
    reason: str
    code: int | None
    is_retryable: bool


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """A response has begun."""

    response_id: str | None
    agent_version: int


@dataclass(frozen=True, slots=True)
class ResponseEnded:
    """A response is over."""

    response_id: str | None
    out_of_band: bool
    lost: bool
    """Its connection was lost before its end."""
    agent_version: int
    item_id: str | None
    output: str
    source: str
    status: str | None
    status_details: str | None
    """JSON text."""
    usage: str | None
    """JSON text."""
    metadata: str | None
    """JSON text."""
    items: str | None
    """JSON text; `None` where nobody wants them."""
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
    """An answer was interrupted; item and content index name the first part of it that was cut."""

    agent_version: int
    response_id: str
    item_id: str
    content_index: int


@dataclass(frozen=True, slots=True)
class Played:
    """Nothing is left to play, for whoever waits with this token."""

    token: int
    heard: bool
    """Everything was heard to its end since then."""


@dataclass(frozen=True, slots=True)
class Transcribed:
    """An item of a session of transcription has its transcript, or will have none."""

    item_id: str
    content_index: int
    text: str
    interrupted: bool
    """The connection was lost before the end."""
    logprobs: str | None
    """JSON text; the next two as well."""
    languages: str | None
    usage: str | None


@dataclass(frozen=True, slots=True)
class TranscriptionUsage:
    """What the transcription of the user's speech cost."""

    usage: str
    """JSON text."""


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
class CoreError:
    """Something went wrong that no command's exception tells of."""

    kind: Literal["server", "protocol", "model", "unanswered", "not_sent", "too_long", "gave_up"]
    """The server reported it; the server broke the protocol; the model did; the server left a
    request for a response unanswered; a message was not sent, because the connection was over; or
    because it is longer than the connection takes; a connection that was lost is not made again."""
    detail: str
    """A sentence for users; of the kind `server` the server's event, as JSON text."""
    failed: str | None
    """What failed, where the server's event is no `error` event."""


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
