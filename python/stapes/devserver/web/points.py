"""Which points of a turn an event on the wire stands for, by GA's names or the beta's."""

from __future__ import annotations

import json
from typing import Any

_FROM_CLIENT = {
    "session.update": "session_update",
    "input_audio_buffer.append": "user_audio",
    "conversation.item.create": "item_create",
    "conversation.item.truncate": "truncate",
    "conversation.item.delete": "item_delete",
    "response.create": "response_create",
}
_FROM_SERVER = {
    "session.created": "session_created",
    "input_audio_buffer.speech_started": "speech_started",
    "input_audio_buffer.speech_stopped": "speech_stopped",
    "response.function_call_arguments.delta": "function_arguments",
    "response.output_audio.done": "audio_done",
    "response.output_text.done": "audio_done",
    "response.audio.done": "audio_done",
    "response.text.done": "audio_done",
    "response.done": "response_done",
}
_DELTAS = (
    "response.output_audio.delta",
    "response.output_text.delta",
    "response.audio.delta",
    "response.text.delta",
)


class ClientPoints:
    """Reads what a client sends."""

    def of(self, frame: str | bytes) -> tuple[str, ...]:
        """Return the points that are reached when the frame has come."""
        if isinstance(frame, bytes):
            return ("user_audio",)
        event = _event(frame)
        item = event.get("item")
        if isinstance(item, dict) and item.get("type") == "function_call_output":
            return ("function_output",)
        point = _FROM_CLIENT.get(str(event.get("type")))
        return () if point is None else (point,)


class ServerPoints:
    """Reads what the server sends over one connection."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        """Answers under way of which something has been sent."""
        self._last = ""
        """The answer that began last: the sound in binary frames is its."""

    def of(self, frame: str | bytes) -> tuple[str, ...]:
        """Return the points that are reached when the frame has been sent."""
        if isinstance(frame, bytes):
            return self._delta(self._last)
        event = _event(frame)
        match event.get("type"):
            case str(type_) if type_ in _DELTAS:
                return self._delta(str(event.get("response_id")))
            case "response.created":
                self._last = str(event["response"].get("id"))
                return ("response_created",)
            case "response.output_item.done":
                is_call = event["item"].get("type") == "function_call"
                return ("function_call",) if is_call else ()
            case "response.done":
                self._begun.discard(str(event["response"].get("id")))
                return ("response_done",)
            case type_:
                point = _FROM_SERVER.get(str(type_))
                return () if point is None else (point,)

    def _delta(self, response_id: str) -> tuple[str, ...]:
        if response_id in self._begun:
            return ("deltas",)
        self._begun.add(response_id)
        return ("first_delta", "deltas")


def _event(frame: str) -> dict[str, Any]:
    try:
        event = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}
