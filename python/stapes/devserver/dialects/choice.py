"""The dialects by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.devserver.dialects.azure import VoiceLive
from stapes.devserver.dialects.beta import Beta
from stapes.devserver.dialects.qwen import Qwen
from stapes.devserver.dialects.resumption import Resumptions
from stapes.devserver.dialects.xai import XAI
from stapes.devserver.session.dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stapes.devserver.options import DialectName


class Dialects:
    """Makes the dialect of each connection, and keeps what one connection leaves to another."""

    def __init__(self, name: DialectName) -> None:
        self._name = name
        self._resumptions = Resumptions()

    def begin(self, query: Mapping[str, str]) -> Dialect:
        """Return the dialect of a connection that begins, which has this query in its URL."""
        if self._name == "xai":
            return XAI(query.get("conversation_id"), self._resumptions)
        return _WITHOUT_MEMORY[self._name]()


_WITHOUT_MEMORY: dict[DialectName, Callable[[], Dialect]] = {
    "ga": Dialect,
    "beta": Beta,
    "azure": VoiceLive,
    "qwen": Qwen,
}
