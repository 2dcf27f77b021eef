"""Which parts of the answers have sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Part", "SoundParts"]

Part: TypeAlias = tuple[str, int]
"""The id of an item, and the index of its content."""

_MAX_RESPONSES = 64
_MAX_PARTS = 64


class SoundParts:
    """The parts of the newest responses that have sound, in the order in which it came."""

    __slots__ = ("_newest", "_parts")

    def __init__(self) -> None:
        self._parts: dict[str, dict[Part, None]] = {}
        self._newest: tuple[str, str, int] | None = None

    @property
    def responses(self) -> Iterable[str]:
        """The ids of those responses, oldest first."""
        return tuple(self._parts)

    def sounded(self, response_id: str, item_id: str, content_index: int) -> None:
        """Sound of that part has come."""
        newest = (response_id, item_id, content_index)
        if newest == self._newest:
            return
        self._newest = newest
        if response_id not in self._parts:
            if len(self._parts) >= _MAX_RESPONSES:
                del self._parts[next(iter(self._parts))]
            self._parts[response_id] = {}
        parts = self._parts[response_id]
        if len(parts) < _MAX_PARTS:
            parts[item_id, content_index] = None

    def of(self, response_id: str) -> list[Part]:
        """The parts of a response."""
        return list(self._parts.get(response_id, ()))

    def cut(self, response_id: str, first: Part) -> list[Part]:
        """The parts of a response that was cut within `first`, which comes first; forgets them."""
        parts = self.of(response_id)
        self.retire(response_id)
        return parts[parts.index(first) :] if first in parts else [first]

    def retire(self, response_id: str) -> None:
        """Forgets a response."""
        self._parts.pop(response_id, None)
        if self._newest is not None and self._newest[0] == response_id:
            self._newest = None
