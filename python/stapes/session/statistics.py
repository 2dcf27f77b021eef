"""Counters of a session."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SessionStats"]


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
    """

    reconnects: int
    failed_attempts: int
    rollovers: int
    cut_turns: int
    gap_seconds: float
    kept_sound_bytes: int
