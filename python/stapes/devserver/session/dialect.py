"""How a connection speaks: as the GA protocol does, unless a dialect says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from stapes.devserver.session.errors import ProtocolError

Event = dict[str, Any]
Items = Callable[[], list[Event]]
"""Gives the items of a call, as its mind sees them."""


class Dialect:
    """How one connection speaks. This is the GA protocol, which is the session's own.

    Another dialect translates at the edge, so that the session knows nothing of it. There is one
    object for each connection. `write` is called when an event is queued, in the order of the
    session's acts: what `read` has asked for is accepted when `session.updated` is written.

    Attributes:
        settings: what a session begins with, besides the GA protocol's defaults.
        conversation_id: the id of the conversation; `None` for one of the server's making.
        ping_seconds: how often the server sends `ping`; `None` for never.
    """

    settings: Event | None = None
    ping_seconds: float | None = None

    def __init__(self) -> None:
        self.conversation_id: str | None = None

    def read(self, event: Event) -> Iterable[Event]:
        """Return the GA events that a client event stands for.

        Raises:
            ProtocolError: the dialect does not know it so.
        """
        return (event,)

    def read_binary(self, frame: bytes) -> Iterable[Event]:
        """Return the GA events that a binary frame of the client stands for.

        Raises:
            ProtocolError: it stands for none.
        """
        raise ProtocolError(
            "Expected a text WebSocket message; binary frames are not supported.", "invalid_event"
        )

    def write(self, event: Event) -> Iterable[Event | bytes]:
        """Return what a GA server event is on this wire: events, and binary frames."""
        return (event,)

    def serves(self, items: Items) -> None:
        """Take note of the call that the connection carries."""

    def ended(self) -> None:
        """Take note that the connection is over."""
