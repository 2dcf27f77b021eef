"""What went wrong, as the SDK's error events have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.realtime.model_events import RealtimeModelErrorEvent
from openai.types.realtime import RealtimeError

from stapes.errors import ServerError
from stapes.session.dispatch.readings import error_of

if TYPE_CHECKING:
    from stapes.session.dispatch.messages import CoreError

__all__ = ["error_event"]


def error_event(error: CoreError) -> RealtimeModelErrorEvent:
    """The event for an error of the core's.

    What the server reports has the type that the SDK's own model gives it. Anything else is an
    exception of stapes.
    """
    told = error_of(error)
    return RealtimeModelErrorEvent(
        error=_of_server(told, error) if isinstance(told, ServerError) else told
    )


def _of_server(told: ServerError, error: CoreError) -> RealtimeError:
    own = told.event.get("error")
    message = own.get("message") if isinstance(own, dict) and error.failed is None else None
    return RealtimeError(
        message=message if isinstance(message, str) else str(told),
        type=told.error_type or "server_error",
        code=told.code,
        event_id=told.event_id,
        param=told.param,
    )
