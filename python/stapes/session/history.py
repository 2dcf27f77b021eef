"""Messages and histories of the user's, as the core takes them."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from agents import UserError

from stapes.errors import StapesError
from stapes.items import HistoryItem, items_to_dicts, part_to_value
from stapes.session.completion import Completion, done
from stapes.session.refusals import (
    refuse_images,
    refuse_message,
    refuse_response,
    refuse_rewriting,
)

if TYPE_CHECKING:
    from stapes import _core
    from stapes.providers import Provider
    from stapes.session.scope import Scope

__all__ = ["begin_with", "items_as_json", "message_event", "response_settings", "update_history"]

logger = logging.getLogger("stapes")

_HALF_PAIR = re.compile("[\ud800-\udfff]")


def _json(value: object) -> str:
    """JSON that can be sent: with U+FFFD for each half of a surrogate pair."""
    return _HALF_PAIR.sub("\N{REPLACEMENT CHARACTER}", json.dumps(value, ensure_ascii=False))


def message_event(
    message: str | Mapping[str, Any] | Sequence[Mapping[str, Any]],
    other_event_data: Mapping[str, Any] | None,
    provider: Provider | None = None,
) -> str:
    """A `conversation.item.create` with a message of the user's, as JSON.

    Args:
        message: see `RealtimeSession.send_message`.
        other_event_data: the same.
        provider: refuses what it cannot take; `None`: the core says what is not sent.

    Raises:
        TypeError: `message` is neither text nor a message nor parts.
        stapes.NotSupportedError: the provider takes no messages, or not with what is in this one.
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
    if provider is not None:
        refuse_message(event["item"], provider)
    return _json(event)


def response_settings(response: Mapping[str, Any] | None, provider: Provider) -> str | None:
    """The settings of a response, as JSON.

    Raises:
        stapes.NotSupportedError: the provider has none, or not these.
    """
    if response is None:
        return None
    refuse_response(response, provider)
    return json.dumps(response, ensure_ascii=False)


def _part(part: Any) -> Any:
    if isinstance(part, Mapping) and part.get("type") == "input_image":
        rest = {k: v for k, v in part.items() if k not in {"image", "image_url", "provider_data"}}
        picture = part.get("image_url", part.get("image"))
        return {**rest, "image_url": picture, **part.get("provider_data", {})}
    if is_dataclass(part):
        return part_to_value(part)
    return part


def _items(history: object, whose: str) -> tuple[Any, ...]:
    """The items of a history, which may come from an iterator: they are gone through twice.

    Raises:
        TypeError: it has none; names `whose` it is.
    """
    if not isinstance(history, Iterable) or isinstance(history, str | bytes | Mapping):
        raise TypeError(
            f"{whose} must be a list of items (of stapes.items, or mappings of their fields), "
            f"not {type(history).__name__}"
        )
    return tuple(history)


def items_as_json(history: Sequence[HistoryItem | Mapping[str, Any]]) -> str:
    """A history as the core reads it.

    Raises:
        TypeError, ValueError: it has what JSON cannot hold.
    """
    return _json(items_to_dicts(history))


def begin_with(
    core: _core.Session,
    history: Sequence[HistoryItem | Mapping[str, Any]],
    most_bytes: int,
    provider: Provider,
) -> None:
    """Has each conversation of the session begin with that history.

    Args:
        core: the core's half of the session.
        history: items, or mappings of their fields.
        most_bytes: what may wait to be sent, for all of it is sent at once.
        provider: the session's.

    Raises:
        TypeError, ValueError: names the item that is wrong, or that the provider cannot take.
    """
    items = _items(history, "history")
    try:
        refuse_images(items, provider)
        text = items_as_json(items)
        if (size := len(text.encode())) > most_bytes:
            raise ValueError(
                f"it has {size} bytes as JSON, and all of it is sent at once: leave out images and "
                f"audio, or raise the transport's max_outgoing_bytes, which is {most_bytes}"
            )
        left_out = core.update_history(text, at_first=True)
    except TypeError as error:
        raise TypeError(f"history: {error}") from None
    except ValueError as error:
        raise ValueError(f"history: {error}") from None
    for sentence in left_out:
        logger.warning("%s", sentence)


def update_history(
    scope: Scope,
    provider: Provider,
    history: Sequence[HistoryItem | Mapping[str, Any]]
    | Callable[[list[HistoryItem]], Sequence[HistoryItem | Mapping[str, Any]]],
) -> Completion[None]:
    """See `RealtimeSession.update_history`."""
    if callable(history):
        new = _items(history(list(scope.core.history)), "what the function for history returns")
    else:
        new = _items(history, "history")
    refuse_rewriting(new, provider)
    try:
        left_out = scope.core.update_history(items_as_json(new), at_first=False)
    except ValueError as error:
        return scope.tasks.failed(UserError(str(error)))
    except StapesError as error:
        return scope.tasks.failed(error)
    for sentence in left_out:
        logger.warning("%s", sentence)
    return done()
