"""What went wrong, as the SDK's error events have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agents import ModelBehaviorError
from agents.realtime.model_events import RealtimeModelErrorEvent
from openai.types.realtime import RealtimeError

from stapes.errors import ConnectionLostError, NotConnectedError, ServerError, StapesError

if TYPE_CHECKING:
    from stapes.session.dispatch.messages import CoreError

__all__ = ["error_event"]


def error_event(error: CoreError) -> RealtimeModelErrorEvent:
    """The event for an error of the core's.

    What the server reports has the type that the SDK's own model gives it. Anything else is an
    exception of stapes.
    """
    match error.kind:
        case "server":
            return RealtimeModelErrorEvent(error=_of_server(error))
        case "model":
            return RealtimeModelErrorEvent(error=ModelBehaviorError(error.detail))
        case "not_sent":
            return RealtimeModelErrorEvent(error=NotConnectedError(error.detail))
        case "gave_up":
            lost = ConnectionLostError(error.detail, retryable=False)
            return RealtimeModelErrorEvent(error=lost)
        case _:
            return RealtimeModelErrorEvent(error=StapesError(error.detail))


def _of_server(error: CoreError) -> RealtimeError:
    told = ServerError(json.loads(error.detail), error.failed)
    own = told.event.get("error")
    message = own.get("message") if isinstance(own, dict) and error.failed is None else None
    return RealtimeError(
        message=message if isinstance(message, str) else str(told),
        type=told.error_type or "server_error",
        code=told.code,
        event_id=told.event_id,
        param=told.param,
    )
