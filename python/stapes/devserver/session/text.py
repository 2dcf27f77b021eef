"""Text that can be sent."""

from __future__ import annotations

import re

_HALF_PAIR = re.compile("[\ud800-\udfff]")


def sendable(text: str) -> str:
    """Return `text` with U+FFFD for each half of a surrogate pair, which JSON can hold alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HALF_PAIR.sub("\N{REPLACEMENT CHARACTER}", text)
    return text


def words_of(text: str) -> list[str]:
    """Cut a text in words, each with the space before it."""
    words = text.split(" ")
    return [word if index == 0 else f" {word}" for index, word in enumerate(words)] if text else []
