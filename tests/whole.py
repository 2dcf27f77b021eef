"""Whether a server's conversation is the session's history."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stapes.devserver import ConversationView

__all__ = ["differs"]


def differs(view: ConversationView, history: Iterable[Any]) -> str | None:
    """What differs: ids, order, roles, heard words, images, calls with outputs; or nothing.

    Each call has to be answered, and the last word is the assistant's.
    """
    theirs = [item for item in map(_theirs(view), view.items) if item is not None]
    ours = [item for item in map(_ours, history) if item is not None]
    if len(theirs) != len(ours) or any(not _same(a, b) for a, b in zip(theirs, ours, strict=True)):
        return f"the server has {theirs}, the history {ours}"
    if view.unanswered:
        return f"calls are unanswered: {view.unanswered}"
    if ours[-1][1] != "assistant":
        return f"the model was not asked: {ours[-2:]}"
    return None


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _theirs(view: Any) -> Callable[[Any], tuple[Any, ...] | None]:
    outputs = view.outputs

    def shape(item: Any) -> tuple[Any, ...] | None:
        if item.type == "function_call":
            return item.id, "call", item.name, outputs.get(item.call_id)
        if item.type != "message" or item.role == "system":
            return None
        if item.role == "assistant" and not item.text.strip():
            return None
        return item.id, item.role, _words(item.text), item.images

    return shape


def _ours(item: Any) -> tuple[Any, ...] | None:
    if item.type == "function_call":
        return item.item_id, "call", item.name, item.output
    if item.type != "message" or item.role == "system":
        return None
    if item.role == "assistant":
        texts = [getattr(part, "heard", None) for part in item.content]
        whole = [
            getattr(part, "transcript", None) or getattr(part, "text", "") for part in item.content
        ]
        text = _words(
            " ".join(h if h is not None else w for h, w in zip(texts, whole, strict=True))
        )
        return (item.item_id, "assistant", text, 0) if text else None
    images = sum(part.type == "input_image" for part in item.content)
    return item.item_id, item.role, _words(item.text or ""), images


def _same(theirs: tuple[Any, ...], ours: tuple[Any, ...]) -> bool:
    if theirs[:2] != ours[:2] or theirs[3] != ours[3]:
        return False
    # Sound that was told again has no words at the server.
    return theirs[2] == ours[2] or (theirs[1] == "user" and not (theirs[2] and ours[2]))
