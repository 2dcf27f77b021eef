"""Messages and histories of the user's, as the core takes them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from agents import UserError

from stapes.errors import StapesError
from stapes.items import UNSET, HistoryItem, InputImage, MessageItem, OtherPart, OutputAudio
from stapes.session.completion import Completion, done

if TYPE_CHECKING:
    from stapes.session.scope import Scope

__all__ = ["items_as_json", "message_event", "update_history"]

logger = logging.getLogger("stapes")


def message_event(
    message: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
    other_event_data: Mapping[str, Any] | None,
) -> str:
    """A `conversation.item.create` with a message of the user's, as JSON.

    Raises:
        TypeError: `message` is neither text nor a message nor parts.
    """
    if isinstance(message, str):
        parts: Sequence[Any] = [{"type": "input_text", "text": message}]
    elif isinstance(message, Mapping):
        parts = message.get("content", ())
    else:
        parts = message
    if not isinstance(parts, Sequence) or isinstance(parts, str | bytes):
        raise TypeError(
            "message must be text, a message with content, or a list of its parts, "
            f"not {type(message).__name__}"
        )
    event = {
        "type": "conversation.item.create",
        "item": {"type": "message", "role": "user", "content": [_part(part) for part in parts]},
        **(other_event_data or {}),
    }
    return json.dumps(event, ensure_ascii=False)


def _part(part: Any) -> Any:
    if isinstance(part, Mapping) and part.get("type") == "input_image":
        rest = {k: v for k, v in part.items() if k not in {"image", "image_url", "provider_data"}}
        picture = part.get("image_url", part.get("image"))
        return {**rest, "image_url": picture, **part.get("provider_data", {})}
    if is_dataclass(part):
        return _as_value(part)
    return part


def items_as_json(history: Sequence[HistoryItem | Mapping[str, Any]]) -> str:
    """A history as the core reads it."""
    return json.dumps(
        [item if isinstance(item, Mapping) else _as_value(item) for item in history],
        ensure_ascii=False,
    )


def update_history(
    scope: Scope,
    history: Sequence[HistoryItem | Mapping[str, Any]]
    | Callable[[list[HistoryItem]], Sequence[HistoryItem | Mapping[str, Any]]],
) -> Completion[None]:
    """See `RealtimeSession.update_history`."""
    old = list(scope.core.history)
    new = history(old) if callable(history) else history
    try:
        ignored = scope.core.update_history(items_as_json(new))
    except ValueError as error:
        return scope.tasks.failed(UserError(str(error)))
    except StapesError as error:
        return scope.tasks.failed(error)
    for item_id in ignored:
        logger.warning("function call %s cannot be added or changed: it is left out", item_id)
    return done()


def _as_value(value: Any) -> Any:
    if isinstance(value, OtherPart):
        return value.raw
    plain = {f.name: getattr(value, f.name) for f in fields(value)}
    plain["type"] = value.type
    if isinstance(value, MessageItem):
        plain["content"] = [_as_value(part) for part in value.content]
    if isinstance(value, InputImage) and value.detail is None:
        del plain["detail"]
    if isinstance(value, OutputAudio) and value.audio_end_ms is None:
        del plain["audio_end_ms"], plain["heard"]
    return {key: field for key, field in plain.items() if field is not UNSET}
