"""The session that users' code is running for."""

from __future__ import annotations

from typing import Any

from stapes.session.invocation import session_and_history
from stapes.session.session import RealtimeSession

__all__ = ["current_session"]


def current_session() -> RealtimeSession[Any]:
    """The session that a tool, handoff or guardrail is running for.

    Its `history` is the one that the call was made in.

    Raises:
        LookupError: nothing of a session's is running here.
    """
    found = session_and_history.get()
    if found is None or not isinstance(found[0], RealtimeSession):
        raise LookupError(
            "current_session() is for tools, handoffs and guardrails: none is running here"
        )
    return found[0]
