"""The order of a session's events and messages, as a test sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stapes.session import RealtimeSession

__all__ = ["ClientMessages", "place_of_cause"]


@dataclass(slots=True)
class ClientMessages:
    """Every message that a session queues for the server, with its sequence number.

    In a callback, `session.dispatched` is the sequence number of the callback's event, so that a
    test can sort events and messages together.
    """

    messages: list[tuple[int, str]] = field(default_factory=list)
    """`(sequence number, JSON text)`, in order."""

    @classmethod
    def of(cls, session: RealtimeSession[Any]) -> ClientMessages:
        """Collects the messages from now on."""
        found = cls()
        session.probe.tap_outgoing(lambda sequence, text: found.messages.append((sequence, text)))
        return found


def place_of_cause() -> int:
    """In a tool, handoff or guardrail: the sequence number of the event that it was called for."""
    from stapes.session.invocation import causing_sequence

    return causing_sequence.get()
