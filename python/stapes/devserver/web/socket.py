"""A WebSocket connection as a call has it: frames in and frames out."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect, WebSocketState

from stapes.devserver.session.call import ChannelClosedError
from stapes.devserver.session.errors import session_expired
from stapes.devserver.session.outbox import Close, Outgoing
from stapes.devserver.web.points import ClientPoints, ServerPoints
from stapes.devserver.web.tcp import SocketTcp, tcp_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket

    from stapes.devserver.rudeness import Drop
    from stapes.devserver.web.trouble import Trouble

_REASONS = {
    1000: "",
    1001: "going away",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
}


class Socket:
    """One connection. It makes the trouble that the server was asked to make."""

    def __init__(self, websocket: WebSocket, trouble: Trouble, *, session_seconds: float) -> None:
        self._websocket = websocket
        self._trouble = trouble
        self._session_seconds = session_seconds
        tcp = tcp_of(websocket.scope)
        self._tcp = tcp if isinstance(tcp, SocketTcp) else None
        self._from_client, self._from_server = ClientPoints(), ServerPoints()
        self._speaks = asyncio.Event()
        self._speaks.set()
        self._dropping: asyncio.Task[None] | None = None
        if self._tcp is not None:
            self._tcp.watch_parts(lambda: trouble.waits_for("mid_message"), self._mid_message)

    async def accept(self) -> None:
        """Say yes to the handshake, with the subprotocol that a browser offers."""
        offered = self._websocket.scope.get("subprotocols", ())
        await self._websocket.accept("realtime" if "realtime" in offered else None)

    async def read(self) -> str | bytes | None:
        """Return the client's next frame; `None` once it has gone."""
        message = await self._websocket.receive()
        text = message.get("text")
        frame = message.get("bytes") if text is None else text
        if frame is not None and self._dropping is None and self._trouble.is_armed:
            await self._reach(self._from_client.of(frame))
        if self._dropping is not None:
            # The call must not end, and close the connection, before it is dropped.
            await asyncio.wait([self._dropping])
            return None
        return frame

    async def write(self, frame: Outgoing) -> None:
        """Send one frame, or close.

        Raises:
            ChannelClosedError: the client has gone.
        """
        await self._hesitate()
        if self._dropping is not None:
            raise ChannelClosedError
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
        if isinstance(frame, Close):
            if frame.reason == "session_expired":
                self._trouble.say(f"ended a session after {self._session_seconds:g} s")
        elif self._trouble.is_armed:
            await self._reach(self._from_server.of(frame))

    async def close(self, code: int, reason: str) -> None:
        """Close it at once, unless it is closed."""
        if self._websocket.application_state is WebSocketState.CONNECTED:
            await self._websocket.close(code, reason)

    def abort(self) -> None:
        """Close the TCP connection without a word.

        Raises:
            RuntimeError: the server that runs this cannot reach its sockets.
        """
        self._below("abort").abort()

    async def drop(self, drop: Drop, happened: Callable[[], None] = lambda: None) -> None:
        """Drop the connection now, in this way; a handshake that is not answered as well.

        `happened` is called when it is dropped, or the stall has begun.

        Raises:
            RuntimeError: the server that runs this cannot reach its sockets.
        """
        if drop.way == "stall":
            self._speaks.clear()
            happened()
            try:
                await asyncio.sleep(drop.seconds)
            finally:
                self._speaks.set()
        elif self._dropping is None:
            if isinstance(drop.way, str) and drop.way != "expired":
                self._below(drop.way)
            self._dropping = asyncio.create_task(self._end(drop, happened))
            await asyncio.shield(self._dropping)

    def _below(self, way: str) -> SocketTcp:
        if self._tcp is None:
            raise RuntimeError(
                f"{way} needs the sockets of the server: run it with DevServer or serve, or end "
                "the call with a close code"
            )
        return self._tcp

    async def _reach(self, points: tuple[str, ...]) -> None:
        armed = self._trouble.reach(points)
        if armed is not None:
            await self.drop(armed.drop, armed.has_happened)

    async def _mid_message(self) -> None:
        await self._reach(("mid_message",))

    async def _hesitate(self) -> None:
        if self._trouble.rudeness.slow_ms:
            await asyncio.sleep(self._trouble.rudeness.slow_ms / 1000)
        await self._speaks.wait()

    async def _end(self, drop: Drop, happened: Callable[[], None]) -> None:
        match drop.way:
            case "expired":
                error = session_expired(self._session_seconds)
                event_id = f"event_{secrets.token_hex(8)}"
                event = {"type": "error", "event_id": event_id, "error": error.wire()}
                await self._last_words(1001, "session_expired", event)
            case int(code):
                await self._last_words(code, _REASONS.get(code, ""))
            case "reset" | "fin" | "half_open" as way:
                await self._below(way).end(way)
        happened()

    async def _last_words(
        self, code: int, reason: str, event: dict[str, Any] | None = None
    ) -> None:
        """Close, after one more event."""
        try:
            if self._websocket.application_state is WebSocketState.CONNECTING:
                await self.accept()
            if event is not None:
                await self._websocket.send_json(event)
            await self._websocket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError):
            return
