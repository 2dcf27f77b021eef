"""The default conversation of a call: items in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.devserver.session.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stapes.devserver.session.items import Item


class Conversation:
    """Items in order, each under its own id."""

    def __init__(self, conversation_id: str, *, max_items: int) -> None:
        self.id = conversation_id
        self._max_items = max_items
        self._items: dict[str, Item] = {}
        self._order: list[str] = []

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def __len__(self) -> int:
        return len(self._order)

    def get(self, item_id: str) -> Item | None:
        """Return the item of that id, if there is one."""
        return self._items.get(item_id)

    @property
    def last_id(self) -> str | None:
        """The id of the last item."""
        return self._order[-1] if self._order else None

    @property
    def has_assistant_audio(self) -> bool:
        """Whether the assistant has spoken."""
        return any(item.role == "assistant" and item.audio_ms for item in self)

    def previous_of(self, item: Item) -> str | None:
        """Return the id of the item before, or `None` for the first and for one that is not in."""
        if item.id not in self._items:
            return None
        index = self._order.index(item.id)
        return self._order[index - 1] if index else None

    def insert(self, item: Item, *, after: str | None = None) -> None:
        """Put an item in: after the one named, first (`root`), or last.

        Raises:
            ProtocolError: the id is taken, `after` is not there, or the conversation is full.
        """
        if item.id in self._items:
            raise ProtocolError(
                f"Error adding item: an item with id '{item.id}' already exists.",
                "item_create_invalid_item_id",
                "item.id",
            )
        if len(self._order) >= self._max_items:
            raise ProtocolError(
                f"Error adding item: the conversation holds {self._max_items} items already.",
                "conversation_too_long",
            )
        match after:
            case None:
                index = len(self._order)
            case "root":
                index = 0
            case _ if after in self._items:
                index = self._order.index(after) + 1
            case _:
                raise ProtocolError(
                    f"Error adding item: the previous item with id '{after}' does not exist.",
                    "item_create_invalid_previous_item_id",
                    "previous_item_id",
                )
        self._order.insert(index, item.id)
        self._items[item.id] = item

    def delete(self, item_id: str) -> None:
        """Take an item out, which must be there."""
        del self._items[item_id]
        self._order.remove(item_id)
