"""What a connection may cost before there is a request: how much time, and what length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    import asyncio

_WHOLE = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.SWITCHED_PROTOCOL, h11.ERROR)
"""States of a client that has sent a request to its end."""


class HttpProtocol(H11Protocol):
    """HTTP whose requests must arrive within `request_seconds`, counted from their first byte."""

    request_seconds = 10.0
    _arriving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to count: a client that connects has something to say."""
        super().connection_made(transport)
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
    """WebSocket whose handshakes are answered also where they cannot be read."""

    def data_received(self, data: bytes) -> None:
        """Take a piece of a handshake, or of frames."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.handshake_initiated = True
            too_long = "The request line or a header is too long, or there are too many headers."
            self.transport.write(_refusal("431 Request Header Fields Too Large", too_long))
            self.transport.close()


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
