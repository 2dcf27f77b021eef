"""The context variables of users' code that a session runs."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stapes.items import HistoryItem

__all__ = ["causing_sequence", "session_and_history"]

causing_sequence: contextvars.ContextVar[int] = contextvars.ContextVar(
    "stapes.causing_sequence", default=0
)
"""The sequence number of the event that the code was called for."""

session_and_history: contextvars.ContextVar[tuple[object, Sequence[HistoryItem]] | None] = (
    contextvars.ContextVar("stapes.session_and_history", default=None)
)
"""The session that the code runs for, and its history when the code was called, if any."""
