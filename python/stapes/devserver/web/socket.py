"""A WebSocket connection as a call has it: frames in and frames out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.websockets import WebSocketDisconnect, WebSocketState

from stapes.devserver.session.call import ChannelClosedError
from stapes.devserver.session.outbox import Close, Outgoing

if TYPE_CHECKING:
    from starlette.websockets import WebSocket


class Socket:
    """One connection."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def accept(self) -> None:
        """Say yes to the handshake, with the subprotocol that a browser offers."""
        offered = self._websocket.scope.get("subprotocols", ())
        await self._websocket.accept("realtime" if "realtime" in offered else None)

    async def read(self) -> str | bytes | None:
        """Return the client's next frame; `None` once it has gone."""
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        frame: str | bytes = message["bytes"] if text is None else text
        return frame

    async def write(self, frame: Outgoing) -> None:
        """Send one frame, or close.

        Raises:
            ChannelClosedError: the client has gone.
        """
        try:
            match frame:
                case str():
                    await self._websocket.send_text(frame)
                case bytes():
                    await self._websocket.send_bytes(frame)
                case Close(code, reason):
                    await self._websocket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError) as gone:
            raise ChannelClosedError from gone

    async def close(self, code: int, reason: str) -> None:
        """Close it at once, unless it is closed."""
        if self._websocket.application_state is WebSocketState.CONNECTED:
            await self._websocket.close(code, reason)
