"""What the user's code that runs here was called for."""

from __future__ import annotations

import contextvars

__all__ = ["cause"]

cause: contextvars.ContextVar[int] = contextvars.ContextVar("stapes.cause", default=0)
"""The place, in the session's order, of the event that it was called for."""
