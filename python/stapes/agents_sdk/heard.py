"""What was heard of answers that were cut, for the SDK's history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.realtime.items import AssistantAudio, AssistantMessageItem, AssistantText
from agents.realtime.model_events import (
    RealtimeModelItemUpdatedEvent,
    RealtimeModelOutputTextDeltaEvent,
    RealtimeModelTranscriptDeltaEvent,
)

from stapes.items import MessageItem, OutputAudio, OutputText

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agents.realtime.model_events import RealtimeModelEvent

    from stapes import _core

__all__ = ["HeardWords"]

_MAX_ITEMS = 64
_NOTHING = " "
"""The SDK's session keeps the words that it knows where an item comes with none."""


class HeardWords:
    """The words that were heard of the newest items that were cut.

    Args:
        core: its history has them.
    """

    __slots__ = ("_core", "_words")

    def __init__(self, core: _core.Session) -> None:
        self._core = core
        # By the item's id and the content's index.
        self._words: dict[str, dict[int, str]] = {}

    def cut(self, item_ids: Iterable[str]) -> Iterator[RealtimeModelEvent]:
        """Parts of these items were cut: the items, as far as they were heard."""
        wanted, history = set(item_ids), self._core.history
        found = []
        for back in range(1, min(len(history), _MAX_ITEMS) + 1):
            item = history[-back]
            if isinstance(item, MessageItem) and item.item_id in wanted:
                found.append(item)
        for item in reversed(found):
            words = {
                index: part.heard.strip() or _NOTHING
                for index, part in enumerate(item.content)
                if isinstance(part, OutputAudio) and part.heard is not None
            }
            if not words:
                continue
            self._words.pop(item.item_id, None)
            if len(self._words) >= _MAX_ITEMS:
                del self._words[next(iter(self._words))]
            self._words[item.item_id] = words
            yield RealtimeModelItemUpdatedEvent(item=_as_heard(item, words))

    def as_heard(self, event: RealtimeModelEvent) -> RealtimeModelEvent | None:
        """An event without what was not heard; `None` where nothing is left of it."""
        match event:
            case RealtimeModelTranscriptDeltaEvent() | RealtimeModelOutputTextDeltaEvent():
                return None if event.item_id in self._words else event
            case RealtimeModelItemUpdatedEvent(item=AssistantMessageItem() as item):
                words = self._words.get(item.item_id)
                if words is None:
                    return event
                content = [
                    part.model_copy(update={"transcript": words[index]})
                    if index in words and isinstance(part, AssistantAudio)
                    else part
                    for index, part in enumerate(item.content)
                ]
                heard = item.model_copy(update={"content": content})
                return RealtimeModelItemUpdatedEvent(item=heard)
        return event


def _as_heard(item: MessageItem, words: dict[int, str]) -> AssistantMessageItem:
    content: list[AssistantText | AssistantAudio] = []
    for index, part in enumerate(item.content):
        match part:
            case OutputAudio(transcript=transcript):
                content.append(AssistantAudio(transcript=words.get(index, transcript)))
            case OutputText(text=text):
                content.append(AssistantText(text=text))
    return AssistantMessageItem(item_id=item.item_id, status=item.status, content=content)
