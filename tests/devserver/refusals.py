"""What a dialect refuses: a client event, and the error's code and parameter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dialect_client import DialectClient

Refusal = tuple[dict[str, Any], str, str | None]


def session(**settings: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": settings}


def item(**fields: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": fields}


def user(*content: dict[str, Any]) -> dict[str, Any]:
    return item(type="message", role="user", content=list(content))


async def expect(client: DialectClient, refusal: Refusal) -> dict[str, Any]:
    """Send the event, and return the error that must come."""
    event, code, param = refusal
    await client.socket.send(json.dumps({**event, "event_id": "e1"}))
    error: dict[str, Any] = (await client.until("error"))["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert error.get("event_id", "e1") == "e1"
    return error
