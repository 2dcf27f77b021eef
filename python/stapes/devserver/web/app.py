"""The application: `/v1/realtime` over WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from stapes.devserver.options import Options
from stapes.devserver.web.admission import Refusal, refusal_of
from stapes.devserver.web.served import ServedCall

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from stapes.devserver.mind import Mind, Voice


_GONE = (WebSocketDisconnect, OSError)
"""How it shows that the client left in the midst of a handshake (uvicorn's own is an OSError)."""


class Calls:
    """The calls under way."""

    def __init__(self, mind: Mind, voice: Voice, options: Options) -> None:
        self.mind, self.voice, self.options = mind, voice, options
        self.under_way: set[ServedCall] = set()

    def open(self, websocket: WebSocket) -> ServedCall:
        """Make the call of a connection that is admitted."""
        return ServedCall(websocket, self.mind, self.voice, self.options)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection from its handshake to its end."""
        refusal = refusal_of(websocket, self.options, calls=len(self.under_way))
        with contextlib.suppress(*_GONE):
            if refusal is not None:
                await self._refuse(websocket, refusal)
                return
            served = self.open(websocket)
            self.under_way.add(served)
            try:
                await served.serve()
            finally:
                self.under_way.discard(served)

    async def _refuse(self, websocket: WebSocket, refusal: Refusal) -> None:
        if self.options.refusal == "http":
            await deny(websocket, refusal.response())
            return
        await websocket.accept()
        event = {"type": "error", "event_id": "event_refused", "error": refusal.error.wire()}
        await websocket.send_json(event)
        await websocket.close(refusal.close_code, refusal.close_reason)


async def deny(websocket: WebSocket, response: Response) -> None:
    """Answer a handshake with an HTTP response."""
    with contextlib.suppress(*_GONE):
        await websocket.send_denial_response(response)
    # uvicorn takes a return before the connection is gone for a handshake that was left open, and
    # logs an error.
    await asyncio.sleep(0)


def create_app(
    mind: Mind, voice: Voice, options: Options | None = None, *, calls: Calls | None = None
) -> Starlette:
    """Return the development server as an ASGI application.

    `calls` replaces what opens and keeps the calls; then it alone decides on mind and voice.
    """
    served = calls or Calls(mind, voice, options or Options())
    return Starlette(routes=[WebSocketRoute("/v1/realtime", served.serve)])
