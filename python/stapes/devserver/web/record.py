"""What went one way over a call, and waiting for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Predicate", "Record"]

Predicate = Callable[[dict[str, Any]], bool]


class Record:
    """The events that went one way over a call, in order: `ServedCall.received` and `sent`.

        created = call.received.of("conversation.item.create")
        done = await call.sent.wait_for("response.done")
        before = [event["type"] for event in call.received]
        last = call.received[-1]

    An event is a dict, as it was on the wire; a frame that is no JSON object is kept as
    `{"frame": ...}`. `len(record)` counts them. Its constructor is not for users.
    """

    def __init__(self, side: str) -> None:
        self._side = side
        self._events: list[dict[str, Any]] = []
        self._grown = asyncio.Event()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._events))

    def __len__(self) -> int:
        return len(self._events)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._events[index]

    @property
    def types(self) -> list[str]:
        """The types of the events."""
        return [str(event.get("type")) for event in self._events]

    def of(self, type_: str) -> list[dict[str, Any]]:
        """Return the events of a type."""
        return [event for event in self._events if event.get("type") == type_]

    def add(self, event: dict[str, Any]) -> None:
        """Record an event."""
        self._events.append(event)
        self._grown.set()

    def add_frame(self, frame: str | bytes) -> None:
        """Record a frame."""
        try:
            event = json.loads(frame)
        except (ValueError, RecursionError):
            event = None
        self.add(event if isinstance(event, dict) else {"frame": frame})

    async def wait_for(self, what: str | Predicate, *, seconds: float = 5.0) -> dict[str, Any]:
        """Return the first event of a type, or that fits, past or to come.

        Args:
            what: the type, or a function that says of an event whether it fits.
            seconds: how long to wait for it.

        Raises:
            TimeoutError: it did not come in time; the message lists what did.
        """
        fits = (lambda event: event.get("type") == what) if isinstance(what, str) else what
        seen = 0
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self._grown.clear()
                    for event in self._events[seen:]:
                        if fits(event):
                            return event
                    seen = len(self._events)
                    await self._grown.wait()
        except TimeoutError:
            name = what if isinstance(what, str) else "no event that fits"
            raise TimeoutError(
                f"no {name} from the {self._side} in {seconds} s; there were: {self.types}"
            ) from None
