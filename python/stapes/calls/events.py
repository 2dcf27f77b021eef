"""What happens in a call: one frozen class for each kind of event."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

__all__ = [
    "CallEnded",
    "CallEvent",
    "CallFrameIgnored",
    "CallHeld",
    "CallIdle",
    "CallInterrupted",
    "CallMessage",
    "CallResumed",
    "Dtmf",
]


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed a key. It may be a digit of a card number: no log or repr shows it."""

    digit: str = field(repr=False)
    """`0` to `9`, `*`, `#`, `A` to `D`."""
    duration: float | None
    """Seconds, where the carrier tells."""
    type: ClassVar[Literal["dtmf"]] = "dtmf"


@dataclass(frozen=True, slots=True)
class CallHeld:
    """The caller was put on hold, or taken back; where the carrier tells."""

    held: bool
    """On hold, or taken back."""
    type: ClassVar[Literal["call_held"]] = "call_held"


@dataclass(frozen=True, slots=True)
class CallMessage:
    """The caller's web page has sent the application something: `call.send(data)` of `stapes.js`.

    It is what a stranger's browser says: do not trust it.
    """

    data: Any
    """JSON, of at most 16 KiB."""
    type: ClassVar[Literal["call_message"]] = "call_message"


@dataclass(frozen=True, slots=True)
class CallInterrupted:
    """The caller's line broke. It is waited for (`CallOptions.resume_timeout`)."""

    reason: str
    """In words."""
    type: ClassVar[Literal["call_interrupted"]] = "call_interrupted"


@dataclass(frozen=True, slots=True)
class CallResumed:
    """The caller's line is back. What was to be played on the old one is lost."""

    type: ClassVar[Literal["call_resumed"]] = "call_resumed"


@dataclass(frozen=True, slots=True)
class CallIdle:
    """Nobody has said anything for `CallOptions.idle_timeout`; after as long again, we hang up."""

    silence: float
    """Seconds."""
    type: ClassVar[Literal["call_idle"]] = "call_idle"


@dataclass(frozen=True, slots=True)
class CallFrameIgnored:
    """The carrier sent what has no effect. It is told the 1st, 2nd, 4th, 8th ... time."""

    reason: str
    """In words."""
    count: int
    """How many frames of the call were ignored so far."""
    type: ClassVar[Literal["call_frame_ignored"]] = "call_frame_ignored"


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over. It is the last event."""

    by: Literal["caller", "us", "line", "limit"]
    """Who ended it: `line`: it broke and nobody came back; `limit`: a bound of `CallOptions`."""
    reason: str
    """In words."""
    duration: float
    """Seconds."""
    type: ClassVar[Literal["call_ended"]] = "call_ended"


CallEvent: TypeAlias = (
    Dtmf
    | CallHeld
    | CallMessage
    | CallInterrupted
    | CallResumed
    | CallIdle
    | CallFrameIgnored
    | CallEnded
)
"""Any event of a call."""
