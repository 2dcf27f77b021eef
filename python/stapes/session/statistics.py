"""Counters of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stapes import _core

__all__ = ["RateLimit", "SessionStats", "session_stats"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit of the provider's, as it stated it last (`rate_limits.updated`).

    Attributes:
        name: what is limited, such as `"requests"` or `"tokens"`.
        limit: the most that is allowed. `None`, here and below: it was not stated.
        remaining: how much of it is left.
        reset_seconds: seconds until all of it is there again.
    """

    name: str
    limit: float | None
    remaining: float | None
    reset_seconds: float | None


@dataclass(frozen=True, slots=True)
class SessionStats:
    """Counters of a session, since it was made.

    Attributes:
        reconnects: connections that took the place of one that was lost.
        failed_attempts: attempts to make one that failed.
        rollovers: connections that took over while the one before stood.
        cut_turns: turns that were cut because the time of a connection was over.
        gap_seconds: time without a connection, over all losses.
        kept_sound_bytes: of the user's sound that is kept now for another connection.
        rate_limits: the provider's limits, as it stated them last; empty where it has stated none.
        retry_after: seconds that a server which refused a handshake asked to wait (`Retry-After`),
            the last time that one did. `None`: none has.
    """

    reconnects: int
    failed_attempts: int
    rollovers: int
    cut_turns: int
    gap_seconds: float
    kept_sound_bytes: int
    rate_limits: tuple[RateLimit, ...]
    retry_after: float | None


def session_stats(core: _core.Session) -> SessionStats:
    """The counters of the session whose half in the core this is."""
    limits, retry_after = core.limits()
    stated = tuple(RateLimit(*limit) for limit in limits)
    return SessionStats(*core.survival_stats(), stated, retry_after)
