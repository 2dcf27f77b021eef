"""The messages of calls that are no events of users: made and filled in Rust.

Names and fields are those of `stapes._core.calls.MESSAGES`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

__all__ = ["CallAnswered", "CallOutgoing", "CallPlayed", "CallStarted", "CallText", "IncomingCall"]


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A call has come in by a route. The server gives it for the token."""

    token: int
    route: int
    type: ClassVar[str] = "incoming_call"


@dataclass(frozen=True, slots=True)
class CallStarted:
    """The stream of a call has begun, whose frames an application carries."""

    type: ClassVar[str] = "call_started"


@dataclass(frozen=True, slots=True)
class CallPlayed:
    """All that was played is heard, or never will be: for whoever waits with the token."""

    token: int
    heard: bool
    type: ClassVar[str] = "call_played"


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """A page's offer was answered with a session description, or not, for a reason.

    `is_offer_invalid`: the offer cannot be answered. `is_busy`: too many calls begin. Otherwise
    this side cannot answer any.
    """

    description: str | None
    problem: str | None
    is_offer_invalid: bool
    is_busy: bool
    type: ClassVar[str] = "call_answered"


@dataclass(frozen=True, slots=True)
class CallOutgoing:
    """There are frames for the application to send."""

    type: ClassVar[str] = "call_outgoing"


@dataclass(frozen=True, slots=True)
class CallText:
    """The page at the far end says something."""

    json: str
    type: ClassVar[str] = "call_text"
