"""A call over one WebSocket connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect, WebSocketState

from stapes.devserver.session.call import ChannelClosedError
from stapes.devserver.session.outbox import Close, Outgoing
from stapes.devserver.web.served import ServedCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.websockets import WebSocket

    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.options import Options


class SocketCall(ServedCall):
    """A call whose sound is in its events. `drop` cuts the TCP connection."""

    def __init__(
        self,
        websocket: WebSocket,
        mind: Mind,
        voice: Voice,
        options: Options,
        *,
        settings: Sequence[dict[str, Any]] = (),
        recording: bool = False,
        drop: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            websocket,
            mind,
            voice,
            options,
            model=websocket.query_params.get("model"),
            settings=settings,
            recording=recording,
        )
        self._websocket = websocket
        self._drop = drop

    async def serve(self) -> None:
        """Accept the connection and serve it to its end."""
        offered = self._websocket.scope.get("subprotocols", ())
        try:
            await self._websocket.accept("realtime" if "realtime" in offered else None)
        except BaseException:
            self._ended.set()
            raise
        await self._run()

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

    async def _read(self) -> str | bytes | None:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        frame: str | bytes = message["bytes"] if text is None else text
        return frame

    async def _write(self, frame: Outgoing) -> None:
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
