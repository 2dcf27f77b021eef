"""Events of the caller's line that the provider tells of: silence, and phone calls that it carries.

They are part of `stapes.events`, which has them for users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = ["CallPlaybackChanged", "DtmfReceived", "IdleTimeoutTriggered"]


@dataclass(frozen=True, slots=True)
class IdleTimeoutTriggered:
    """Nobody has spoken for `idle_timeout_ms` after an answer: the model answers the silence.

    Attributes:
        item_id: the item that holds the silence.
        audio_start_ms: where the silence begins, in milliseconds of the user's sound on this
            connection. `None`, here and below: the provider does not say.
        audio_end_ms: where it ends.
    """

    item_id: str
    audio_start_ms: int | None
    audio_end_ms: int | None
    type: ClassVar[Literal["idle_timeout_triggered"]] = "idle_timeout_triggered"


@dataclass(frozen=True, slots=True)
class DtmfReceived:
    """A key was pressed in a phone call that the provider carries (SIP) and the session joined.

    Calls that come over a carrier's media stream have `stapes.calls.Dtmf`.

    Attributes:
        digit: `0` to `9`, `*`, `#`, `A` to `D`.
        received_at: when the provider got it, in seconds since 1970 (UTC). `None`: it does not say.
    """

    digit: str
    received_at: int | None
    type: ClassVar[Literal["dtmf_received"]] = "dtmf_received"


@dataclass(frozen=True, slots=True)
class CallPlaybackChanged:
    """The provider plays an answer to a caller of its own: in a phone call (SIP) that was joined.

    Attributes:
        status: `started`; `stopped`: all of it was played; `cleared`: it was interrupted.
        response_id: the answer's response.
    """

    status: Literal["started", "stopped", "cleared"]
    response_id: str | None
    type: ClassVar[Literal["call_playback_changed"]] = "call_playback_changed"
