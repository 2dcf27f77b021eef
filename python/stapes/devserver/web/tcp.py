"""The TCP connection below a call, for a server that ends it as networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

__all__ = ["SCOPE_KEY", "Forsaken", "SocketTcp", "Tcp", "tcp_of"]

SCOPE_KEY = "stapes.tcp"
_FLUSH_SECONDS = 1.0
_FLUSH_LOOK = 0.001
_LINGER_NOT = struct.pack("ii", 1, 0)
_FORSAKEN_SECONDS = 600.0
"""How long a connection stays half open at most: a server may be rude for days."""


class HasTransport(Protocol):
    """A protocol of asyncio's, once its connection is made."""

    @property
    def transport(self) -> asyncio.Transport:
        """What carries it."""
        ...


class Forsakes(HasTransport, Protocol):
    """A protocol that can let go of its transport."""

    def let_go(self) -> tuple[asyncio.Transport, set[Any]]:
        """End as if the connection were lost, and leave the transport open.

        Returns the transport, and the connections of the server.
        """
        ...

    def watch_parts(
        self, waits: Callable[[], bool], arrived: Callable[[], Awaitable[None]]
    ) -> None:
        """Await `arrived` when a part of a long message has come, while `waits()`."""
        ...


class Tcp:
    """The TCP connection below a request."""

    def __init__(self, protocol: HasTransport) -> None:
        self._below = protocol

    def reset(self) -> None:
        """End it with a RST, which leaves unsent what waits to be sent."""
        handle = self._below.transport.get_extra_info("socket")
        if handle is not None:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.abort()

    def abort(self) -> None:
        """Close it, which leaves unsent what waits to be sent."""
        self._below.transport.abort()


class SocketTcp(Tcp):
    """The TCP connection below a WebSocket."""

    def __init__(self, protocol: Forsakes) -> None:
        super().__init__(protocol)
        self._protocol = protocol
        self.watch_parts = protocol.watch_parts

    async def end(self, way: Literal["reset", "fin", "half_open"]) -> None:
        """End it in this way, once all that was written has reached the client."""
        await self._flushed()
        if self._protocol.transport.is_closing():
            return
        if way == "reset":
            self.reset()
            return
        transport, connections = self._protocol.let_go()
        connections.add(forsaken := Forsaken(transport, connections))
        transport.set_protocol(forsaken)
        if way == "fin" and transport.can_write_eof():
            transport.write_eof()
            transport.resume_reading()
        else:
            transport.pause_reading()

    async def _flushed(self) -> None:
        """Wait until the client's kernel has all, unless it does not take it."""
        transport = self._protocol.transport
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _FLUSH_SECONDS
        while _unsent(transport) and not transport.is_closing() and loop.time() < deadline:
            await asyncio.sleep(_FLUSH_LOOK)


class Forsaken(asyncio.Protocol):
    """A connection that nobody serves any more, and that is not closed."""

    def __init__(self, transport: asyncio.Transport, connections: set[Any]) -> None:
        self._transport = transport
        self._connections = connections
        loop = asyncio.get_running_loop()
        self._given_up = loop.call_later(_FORSAKEN_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Take no notice."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._given_up.cancel()
        self._connections.discard(self)

    def shutdown(self) -> None:
        """The server ends."""
        self._transport.abort()


def tcp_of(scope: MutableMapping[str, Any]) -> Tcp | None:
    """Return the connection below a request or a WebSocket, where the server gives it out."""
    tcp = scope.get("state", {}).get(SCOPE_KEY)
    return tcp if isinstance(tcp, Tcp) else None


def _unsent(transport: asyncio.Transport) -> bool:
    """Whether anything waits to be sent, or to be acknowledged where the system tells that."""
    if transport.get_write_buffer_size():
        return True
    handle = transport.get_extra_info("socket")
    if sys.platform != "linux" or handle is None or handle.fileno() < 0:
        return False
    import fcntl
    import termios

    waiting = fcntl.ioctl(handle.fileno(), termios.TIOCOUTQ, bytes(4))
    return bool(int.from_bytes(waiting, sys.byteorder))
