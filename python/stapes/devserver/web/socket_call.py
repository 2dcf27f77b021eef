"""A call over one WebSocket connection."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from stapes.devserver.rudeness import Drop
from stapes.devserver.web.served import ServedCall
from stapes.devserver.web.socket import Socket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.websockets import WebSocket

    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.options import Options
    from stapes.devserver.rudeness import DropWay
    from stapes.devserver.session.config import SessionKind
    from stapes.devserver.session.dialect import Dialect
    from stapes.devserver.session.outbox import Outgoing
    from stapes.devserver.web.trouble import Trouble


class SocketCall(ServedCall):
    """A call whose sound is in its events."""

    def __init__(
        self,
        websocket: WebSocket,
        mind: Mind,
        voice: Voice,
        options: Options,
        trouble: Trouble,
        *,
        kind: SessionKind = "realtime",
        settings: Sequence[dict[str, Any]] = (),
        dialect: Dialect,
        recording: bool = False,
    ) -> None:
        super().__init__(
            websocket,
            mind,
            voice,
            options,
            kind=kind,
            model=websocket.query_params.get("model"),
            settings=settings,
            dialect=dialect,
            recording=recording,
        )
        self._dialect = dialect
        dialect.serves(lambda: self.call.items)
        self._socket = Socket(websocket, trouble, session_seconds=options.max_session_seconds)

    async def serve(self) -> None:
        """Accept the connection and serve it to its end."""
        try:
            await self._socket.accept()
        except BaseException:
            self._ended.set()
            raise
        pinging = asyncio.create_task(self._ping())
        try:
            await self._run()
        finally:
            pinging.cancel()
            self._dialect.ended()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection at once, whatever is under way."""
        await self._socket.close(code, reason)

    def abort(self) -> None:
        """Drop the connection without a word, as a network does that fails.

        Raises:
            RuntimeError: the server that runs this call cannot reach its sockets.
        """
        self._socket.abort()

    async def drop(self, way: DropWay = "reset", *, seconds: float = 10.0) -> None:
        """Drop the connection now: see `stapes.devserver.WAYS`. `seconds` is of a stall.

        Raises:
            ValueError: there is no such way.
        """
        await self._socket.drop(Drop("session_created", way, seconds=seconds))

    async def _ping(self) -> None:
        while self._dialect.ping_seconds is not None:
            await asyncio.sleep(self._dialect.ping_seconds)
            self.emit("ping", timestamp=int(time.time() * 1000))

    async def _read(self) -> str | bytes | None:
        return await self._socket.read()

    async def _write(self, frame: Outgoing) -> None:
        await self._socket.write(frame)
