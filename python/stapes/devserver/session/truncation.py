"""Cutting the audio of an answer where its playback stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.devserver.options import Options
    from stapes.devserver.session.items import Item

__all__ = ["cut_off"]


def cut_off(
    emit: Callable[..., None], options: Options, item: Item, index: int, end_ms: int
) -> None:
    """Cut a spoken part of an item where its audio was cut off, and emit the event for it."""
    part = item.parts[index]
    part.truncate(end_ms)
    part.wordless = options.truncated_transcript == "omit"
    emit("conversation.item.truncated", item_id=item.id, content_index=index, audio_end_ms=end_ms)
