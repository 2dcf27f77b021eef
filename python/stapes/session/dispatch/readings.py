"""Reads messages of the core that every kind of session has: as events, and as exceptions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agents import ModelBehaviorError

from stapes.errors import (
    ConnectionLostError,
    ConsumerTooSlow,
    NotConnectedError,
    ServerError,
    StapesError,
)
from stapes.events import ConnectionChanged

if TYPE_CHECKING:
    from stapes.session.dispatch import messages

__all__ = ["connection_change", "error_of", "lost_before", "too_slow_error"]


def error_of(message: messages.CoreError) -> Exception:
    """What went wrong, as an exception."""
    match message.kind:
        case "server":
            return ServerError(json.loads(message.detail), message.failed)
        case "protocol" | "unanswered" | "too_long":
            return StapesError(message.detail)
        case "model":
            return ModelBehaviorError(message.detail)
        case "not_sent":
            return NotConnectedError(message.detail)
        case "gave_up":
            return ConnectionLostError(message.detail, retryable=False)


def too_slow_error(message: messages.TooSlow) -> ConsumerTooSlow:
    """Why the connection was closed when the event loop stood still."""
    return ConsumerTooSlow(
        f"{message.waiting} events were waiting for the event loop and none of them may be "
        "dropped: the connection is closed. Keep the loop free, or raise max_queued_events"
    )


def connection_change(
    message: messages.ConnectionChanged, failure: BaseException | None
) -> ConnectionChanged:
    """The event of a connection that begins, stands or is over.

    Args:
        message: the core's.
        failure: why the last attempt failed, where one did.
    """
    if failure is None and (message.is_clean is False or message.status == "reconnecting"):
        failure = ConnectionLostError(
            message.reason or "", message.code, retryable=bool(message.is_retryable)
        )
    return ConnectionChanged(
        message.status,
        message.reason,
        message.code,
        failure,
        bool(message.is_retryable),
        message.retry_after,
    )


def lost_before(message: messages.Redial) -> ConnectionLostError | None:
    """How the connection before another one ended; `None` where it stands still."""
    if message.attempt == 0:
        return None
    return ConnectionLostError(message.reason, message.code, retryable=message.is_retryable)
