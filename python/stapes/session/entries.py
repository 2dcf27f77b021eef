"""What parts of a session keep by key: most of them have nothing to keep, most of the time."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Entries"]

K = TypeVar("K")
V = TypeVar("V")


class Entries(Generic[K, V]):
    """The base of a part that keeps entries by key. Its table is made for the first one.

    An empty dict takes as much memory as the part itself, and an emptied one four times as much;
    there are several such parts in each session.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[K, V] | None = None

    def _put(self, key: K, value: V) -> None:
        if self._entries is None:
            self._entries = {}
        self._entries[key] = value

    def _get(self, key: K) -> V | None:
        return None if self._entries is None else self._entries.get(key)

    def _take(self, key: K) -> V | None:
        """Forgets an entry, and returns it; `None` where there is none."""
        return None if self._entries is None else self._entries.pop(key, None)

    def _clear(self) -> None:
        if self._entries is not None:
            self._entries.clear()

    def _count(self) -> int:
        return 0 if self._entries is None else len(self._entries)

    def _release(self) -> None:
        """Gives the table up where it is empty: for a part that is used on its loop alone."""
        if not self._entries:
            self._entries = None
