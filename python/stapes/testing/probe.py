"""What tests see and move inside of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes import _core

if TYPE_CHECKING:
    from stapes.session import RealtimeSession

__all__ = ["probe"]


def probe(session: RealtimeSession[Any]) -> _core.Probe:
    """The counters, the clock and the reader of a session."""
    return _core.Probe(session._core)
