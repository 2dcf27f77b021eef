"""A call over one WebSocket connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes.devserver.web.served import ServedCall
from stapes.devserver.web.socket import Socket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.websockets import WebSocket

    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.options import Options
    from stapes.devserver.session.outbox import Outgoing


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
        self._socket = Socket(websocket)
        self._drop = drop

    async def serve(self) -> None:
        """Accept the connection and serve it to its end."""
        try:
            await self._socket.accept()
        except BaseException:
            self._ended.set()
            raise
        await self._run()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection at once, whatever is under way."""
        await self._socket.close(code, reason)

    def abort(self) -> None:
        """Drop the connection without a word, as a network does that fails.

        Raises:
            RuntimeError: the server that runs this call cannot reach its sockets.
        """
        if self._drop is None:
            raise RuntimeError("only a call of a DevServer can be aborted")
        self._drop()

    async def _read(self) -> str | bytes | None:
        return await self._socket.read()

    async def _write(self, frame: Outgoing) -> None:
        await self._socket.write(frame)
