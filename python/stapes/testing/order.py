"""The one order of a session: what a test sees of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stapes.session import RealtimeSession

__all__ = ["ClientMessages", "place_of_cause"]


@dataclass(slots=True)
class ClientMessages:
    """Every message that a session queues for the server, with its place in the session's order.

    `session.dispatched` is the place of the event that a callback gets, so events and messages can
    be put into one line.
    """

    messages: list[tuple[int, str]] = field(default_factory=list)
    """`(place, JSON text)`, in order."""

    @classmethod
    def of(cls, session: RealtimeSession[Any]) -> ClientMessages:
        """Begins to listen; what was sent before is not in it."""
        found = cls()
        session.probe.tap_outgoing(lambda place, text: found.messages.append((place, text)))
        return found


def place_of_cause() -> int:
    """Inside a tool, handoff or guardrail: the place of the event that it was called for."""
    from stapes.session.invocation import causing_sequence

    return causing_sequence.get()
