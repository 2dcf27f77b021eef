"""A bare ASGI handler on uvicorn: receives a phone's frames, and sends as many as an agent."""

from __future__ import annotations

import os
from typing import Any

import uvicorn

SENDS_EVERY = 12
"""Frames that come for each that goes: so it is in the calls that are measured."""
PAYLOAD = "f" * (800 * 4 // 3)
"""100 ms of mu-law."""


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The whole application."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    answer = '{"event":"media","streamSid":"MZ1","media":{"payload":"' + PAYLOAD + '"}}'
    frames = 0
    while (await receive())["type"] != "websocket.disconnect":
        frames += 1
        if frames % SENDS_EVERY == 0:
            await send({"type": "websocket.send", "text": answer})


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
