"""The application: `/v1/realtime` over WebSocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from stapes.devserver.options import Options
from stapes.devserver.web.admission import Refusal, refusal_of
from stapes.devserver.web.served import ServedCall

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from stapes.devserver.mind import Mind, Voice

Serve = Callable[["WebSocket"], Awaitable[ServedCall | None]]


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
            await websocket.send_denial_response(refusal.response())
            return
        await websocket.accept()
        event = {"type": "error", "event_id": "event_refused", "error": refusal.error.wire()}
        await websocket.send_json(event)
        await websocket.close(refusal.close_code, refusal.close_reason)


def create_app(
    mind: Mind, voice: Voice, options: Options | None = None, *, calls: Calls | None = None
) -> Starlette:
    """Return the development server as an ASGI application.

    `calls` replaces what opens and keeps the calls; then it alone decides on mind and voice.
    """
    served = calls or Calls(mind, voice, options or Options())
    return Starlette(routes=[WebSocketRoute("/v1/realtime", served.serve)])
