"""Conversations that a connection leaves for another to take up."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.devserver.session.dialect import Event, Items

_MOST = 1_000
_SECONDS = 30 * 60.0
"""xAI's documentation: history is dropped after 30 minutes of inactivity."""


class Resumptions:
    """The items of conversations, by id: at most 1,000, and none for longer than half an hour.

    `now` tells the time, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: OrderedDict[str, tuple[float, Items]] = OrderedDict()

    def keep(self, conversation_id: str, items: Items) -> None:
        """Keep a conversation that goes on."""
        self._kept[conversation_id] = (self._now(), items)
        self._kept.move_to_end(conversation_id)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)

    def settle(self, conversation_id: str, items: Items) -> None:
        """Keep what a conversation has come to, if these are the items that are kept of it."""
        if self._kept.get(conversation_id, (0.0, None))[1] is items:
            last = items()
            self.keep(conversation_id, lambda: last)

    def items(self, conversation_id: str) -> list[Event] | None:
        """Return the items of a conversation; `None` where nothing is kept of it."""
        since, items = self._kept.get(conversation_id, (0.0, None))
        if items is None:
            return None
        if self._now() - since > _SECONDS:
            del self._kept[conversation_id]
            return None
        return items()
