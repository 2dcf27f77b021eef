"""The model's calls that wait for their output."""

from __future__ import annotations

__all__ = ["OpenCalls"]

_MAX_CALLS = 256


class OpenCalls:
    """The connection of each call that has not been answered, by call id."""

    __slots__ = ("_connections",)

    def __init__(self) -> None:
        self._connections: dict[str, int] = {}

    def made(self, call_id: str, connection_id: int) -> None:
        """The model has made a call."""
        if len(self._connections) >= _MAX_CALLS:
            # Whoever answers it sends its output by itself.
            del self._connections[next(iter(self._connections))]
        self._connections[call_id] = connection_id

    def connection_of(self, call_id: str) -> int | None:
        """The connection over which the call came, if it is open."""
        return self._connections.get(call_id)

    def answered(self, call_id: str) -> None:
        """The output of the call was sent."""
        self._connections.pop(call_id, None)
