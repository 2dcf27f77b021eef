"""Identifiers of one call: unlike those of other calls, in the order of their making."""

from __future__ import annotations

import secrets
from collections import Counter

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class Ids:
    """Makes `item_x7k2m9qa0001` and the like; 32 characters at the most, as the provider's."""

    def __init__(self) -> None:
        self.token = "".join(secrets.choice(_ALPHABET) for _ in range(10))
        self._made: Counter[str] = Counter()

    def new(self, kind: str) -> str:
        """Return the next identifier of a kind (`event`, `item`, `resp`, `call`)."""
        self._made[kind] += 1
        return f"{kind}_{self.token}{self._made[kind]:04}"
