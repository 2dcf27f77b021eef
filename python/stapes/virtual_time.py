"""Whether a session that is being made has a clock that stands still, for `stapes.testing`."""

from __future__ import annotations

import contextvars

__all__ = ["has_virtual_time"]

has_virtual_time: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "stapes.has_virtual_time", default=False
)
"""Set while `stapes.testing.VirtualClock` makes a session: it is no option of users'."""
