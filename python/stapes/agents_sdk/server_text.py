"""A server's event that is read when somebody looks at it."""

from __future__ import annotations

import json
from typing import Any

from agents.realtime.model_events import RealtimeModelRawServerEvent

__all__ = ["UnreadServerEvent"]


class UnreadServerEvent(RealtimeModelRawServerEvent):
    """A `raw_server_event` whose `data` is parsed when it is first asked for.

    Most of what a server sends is sound as base64 text, and few listeners look at that.
    """

    def __init__(self, text: str) -> None:
        self._text: str | None = text
        self._data: Any = None

    @property
    def data(self) -> Any:
        """The event, as JSON has it."""
        if self._text is not None:
            self._data = json.loads(self._text)
            self._text = None
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self._text = None
        self._data = value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, RealtimeModelRawServerEvent):
            return bool(self.data == other.data)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]
