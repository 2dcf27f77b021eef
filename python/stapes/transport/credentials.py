"""Whether a connection says who asks, without a key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["names_who_asks"]

_HEADERS = {"authorization", "api-key"}


def names_who_asks(url: str | None, headers: Iterable[str]) -> bool:
    """Whether the URL (`wss://user:password@host`) or one of the headers says who asks.

    The environment's key is for others then.
    """
    authority = re.split("[/?#]", (url or "").partition("://")[2], maxsplit=1)[0]
    return "@" in authority or bool({name.lower() for name in headers} & _HEADERS)
