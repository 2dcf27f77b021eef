"""What a connection may cost before there is a request: how much time, and what length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from stapes.devserver.web.tcp import SCOPE_KEY, SocketTcp, Tcp

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

PART_OF_MESSAGE = 16 * 1024
"""Bytes of one client message after which it is in its midst."""
_PIECE = 4 * 1024

_WHOLE = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.SWITCHED_PROTOCOL, h11.ERROR)
"""States of a client that has sent a request to its end."""


class HttpProtocol(H11Protocol):
    """HTTP whose requests must arrive within `request_seconds`, counted from their first byte."""

    request_seconds = 10.0
    _arriving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to count: a client that connects has something to say."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, SCOPE_KEY: Tcp(self)}
        self._count()

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        super().data_received(data)
        if self.conn.their_state in _WHOLE or self.transport.get_protocol() is not self:
            self._stop_counting()
        elif self._arriving is None:
            self._count()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the client has gone."""
        self._stop_counting()
        super().connection_lost(exc)

    def _count(self) -> None:
        self._arriving = self.loop.call_later(self.request_seconds, self._too_late)

    def _stop_counting(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _too_late(self) -> None:
        self._arriving = None
        if self.transport.is_closing():
            return
        if self.conn.our_state is h11.IDLE or (self.cycle and not self.cycle.response_started):
            self.transport.write(_refusal("408 Request Timeout", "The request took too long."))
        self.transport.close()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket whose handshakes are answered also where they cannot be read.

    The TCP connection below it is in the state of its scope (`tcp_of`). `watch_parts` has somebody
    told of long messages before they are whole.
    """

    _parts: Callable[[], Awaitable[None]] | None = None
    _waits_for_part: Callable[[], bool] | None = None
    _arrived = 0
    _held: bytearray | None = None
    _holding: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give the connection out to what is served over it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, SCOPE_KEY: SocketTcp(self)}

    def data_received(self, data: bytes) -> None:
        """Take a piece of a handshake, or of frames."""
        if self._held is not None:
            self._held += data
            return
        if self._waits_for_part is None or not self._waits_for_part():
            self._take(data)
            return
        for start in range(0, len(data), _PIECE):
            self._take(data[start : start + _PIECE])
            if self._arrived >= PART_OF_MESSAGE and self._waits_for_part():
                self._hold(data[start + _PIECE :])
                return

    def watch_parts(
        self, waits: Callable[[], bool], arrived: Callable[[], Awaitable[None]]
    ) -> None:
        """Await `arrived` when 16 KiB of one message have come and not all of it, while `waits()`.

        What comes meanwhile is read after that, if the connection still stands.
        """
        self._waits_for_part, self._parts = waits, arrived

    def let_go(self) -> tuple[asyncio.Transport, set[Any]]:
        """End as if the connection were lost, and leave the transport open."""
        transport, self.transport = self.transport, cast("asyncio.Transport", _NoTransport())
        self.connection_lost(ConnectionResetError())
        return transport, self.connections

    def send_receive_event_to_app(self) -> None:
        """Take note that a message is whole."""
        self._arrived = 0
        super().send_receive_event_to_app()

    def _take(self, data: bytes) -> None:
        self._arrived += len(data)
        super().data_received(data)
        if not self.handshake_complete:
            self._arrived = 0
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.handshake_initiated = True
            too_long = "The request line or a header is too long, or there are too many headers."
            self.transport.write(_refusal("431 Request Header Fields Too Large", too_long))
            self.transport.close()

    def _hold(self, rest: bytes) -> None:
        self._held, self._arrived = bytearray(rest), 0
        self.transport.pause_reading()
        self._holding = self.loop.create_task(self._held_back())

    async def _held_back(self) -> None:
        if self._parts is not None:
            await self._parts()
        held, self._held = self._held, None
        if self.transport.is_closing():
            return
        if not self.read_paused:
            self.transport.resume_reading()
        if held:
            self._take(bytes(held))


class _NoTransport:
    """What a protocol holds on to when its transport is no longer its own."""

    def is_closing(self) -> bool:
        return True

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default


def http_protocol(request_seconds: float) -> type[asyncio.Protocol]:
    """Return the protocol of a server's HTTP connections."""
    return type("HttpProtocol", (HttpProtocol,), {"request_seconds": request_seconds})


def _refusal(status: str, why: str) -> bytes:
    head = [
        f"HTTP/1.1 {status}",
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(why)}",
        "connection: close",
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + why).encode()
