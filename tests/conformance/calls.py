"""The calls of a scenario as calls of a `RealtimeSession`."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from tests.conformance.names import snake, snake_keys
from tests.conformance.normalise import editable

if TYPE_CHECKING:
    import stapes
    from tests.conformance.building import Cast


class Caller:
    """Turns the names, macros and options of a scenario into Python's."""

    def __init__(
        self,
        session: stapes.RealtimeSession[Any],
        cast: Cast,
        approvals: list[stapes.ToolApproval],
    ) -> None:
        self._session = session
        self._cast = cast
        self._approvals = approvals

    def __call__(self, method: str, args: list[Any]) -> Any:
        """Makes the call; what it returns may be awaited for its end."""
        values = [self._value(arg) for arg in args]
        session = self._session
        match method:
            case "sendMessage":
                data = values[1] if len(values) > 1 else None
                return session.send_message(_message(values[0]), other_event_data=data)
            case "addImage":
                options = snake_keys(values[1]) if len(values) > 1 else {}
                return session.add_image(values[0], **options)
            case "sendAudio":
                options = values[1] if len(values) > 1 else {}
                return session.send_audio(values[0], commit=options.get("commit", False))
            case "approve" | "reject":
                options = snake_keys(values[1]) if len(values) > 1 else {}
                renamed = {"always_approve": "always", "always_reject": "always"}
                options = {renamed.get(key, key): value for key, value in options.items()}
                return getattr(session, method)(values[0], **options)
            case "updateHistory":
                return session.update_history(values[0])
            case "sendEvent":
                return session.transport.send_event(values[0])
            case _:
                return getattr(session, snake(method))(*values)

    def _value(self, arg: Any) -> Any:
        match arg:
            case {"$approval": int(index)}:
                return self._approvals[index]
            case {"$agent": str(name)}:
                return self._cast.agents[name]
            case {"$audio_base64": str(text)}:
                return base64.b64decode(text)
            case {"$history_edit": list(edits)}:
                return lambda history: _edited(history, edits)
            case [*items] if items and all(isinstance(i, dict) and "itemId" in i for i in items):
                return [snake_keys(item) for item in items]
            case _:
                return arg


def _message(message: Any) -> Any:
    return message if isinstance(message, str) else snake_keys(message)


def _edited(history: list[Any], edits: list[dict[str, Any]]) -> list[Any]:
    def at(item_id: str | None) -> int:
        """Where it stands; -1 where it does not."""
        for index, item in enumerate(history):
            found = item["item_id"] if isinstance(item, dict) else item.item_id
            if found == item_id:
                return index
        return -1

    history = list(history)
    for edit in edits:
        match edit:
            case {"remove": item_id} if at(item_id) >= 0:
                del history[at(item_id)]
            case {"append": item}:
                history.append(snake_keys(item))
            case {"insert_after": item_id, "item": item}:
                history.insert(at(item_id) + 1, snake_keys(item))
            case {"modify": item_id, "set": changes} if at(item_id) >= 0:
                index = at(item_id)
                item = history[index]
                known = item if isinstance(item, dict) else editable(item)
                history[index] = {**known, **snake_keys(changes)}
            case {"remove": _} | {"modify": _}:
                pass
            case _:
                raise LookupError(f"the edit {edit} is unknown")
    return history
