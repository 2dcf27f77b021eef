"""One WebSocket connection that is being served, and the hold that tests have on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect, WebSocketState

from stapes.devserver.session.call import ChannelClosedError, RealtimeCall
from stapes.devserver.session.outbox import Close, Outgoing
from stapes.devserver.web.record import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.websockets import WebSocket

    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.options import Options


class ServedCall:
    """A call over a WebSocket.

    Attributes:
        call: the session itself.
        received: the client's events, as they were read (kept only if `recording`).
        sent: the server's events, as they were queued (kept only if `recording`).
        query: the parameters of the URL.
        headers: the headers of the handshake, without the key.
    """

    def __init__(
        self,
        websocket: WebSocket,
        mind: Mind,
        voice: Voice,
        options: Options,
        *,
        recording: bool = False,
        drop: Callable[[], None] | None = None,
    ) -> None:
        self.received, self.sent = Record("client"), Record("server")
        self.query = dict(websocket.query_params)
        self.headers = {
            name: value
            for name, value in websocket.headers.items()
            if name not in ("authorization", "sec-websocket-protocol", "cookie")
        }
        self.call = RealtimeCall(
            mind,
            voice,
            options,
            model=websocket.query_params.get("model"),
            observe=self.sent.add if recording else None,
        )
        self._websocket = websocket
        self._recording = recording
        self._drop = drop
        self._reading = asyncio.Event()
        self._reading.set()
        self._silent = False
        self._ended = asyncio.Event()

    async def serve(self) -> None:
        """Accept the connection and serve it to its end."""
        offered = self._websocket.scope.get("subprotocols", ())
        try:
            await self._websocket.accept("realtime" if "realtime" in offered else None)
            await self.call.run(self._frames(), self._send)
        finally:
            self._ended.set()

    async def wait_closed(self, *, seconds: float = 5.0) -> None:
        """Wait until the connection is over."""
        async with asyncio.timeout(seconds):
            await self._ended.wait()

    def send_raw(self, frame: str | bytes) -> None:
        """Send any text or binary frame, in order with the events."""
        self.call.send_raw(frame)

    def emit(self, type_: str, **fields: Any) -> None:
        """Send a server event of one's own making, in order with the others."""
        self.call.emit(type_, **fields)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection at once, whatever is under way."""
        if self._websocket.application_state is WebSocketState.CONNECTED:
            await self._websocket.close(code, reason)

    def abort(self) -> None:
        """Drop the connection without a word, as a network does that fails.

        Raises:
            RuntimeError: the server that runs this call cannot reach its sockets.
        """
        if self._drop is None:
            raise RuntimeError("only a call of a DevServer can be aborted")
        self._drop()

    def stop_reading(self) -> None:
        """Leave what the client sends unread, until `resume_reading`."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Read again."""
        self._reading.set()

    def go_silent(self) -> None:
        """Read and record, but do nothing and send nothing any more."""
        self._silent = True

    async def _frames(self) -> AsyncIterator[str | bytes]:
        while True:
            await self._reading.wait()
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await self._reading.wait()
            text = message.get("text")
            frame: str | bytes = message["bytes"] if text is None else text
            if self._recording:
                self.received.add_frame(frame)
            if not self._silent:
                yield frame

    async def _send(self, frame: Outgoing) -> None:
        if self._silent:
            return
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
