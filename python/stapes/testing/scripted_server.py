"""A server on a real socket that greets, sends what a test tells it to, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from types import TracebackType

    from websockets.http11 import Request, Response

__all__ = ["Handshake", "ScriptedServer"]


_FIRST_EVENT = {"type": "conversation.created"}


@dataclass(frozen=True, slots=True)
class Handshake:
    """The request of a client that connected."""

    path: str
    """With the query."""
    headers: Mapping[str, str]
    """Names in lower case."""

    @property
    def authorization(self) -> str | None:
        """The header of that name."""
        return self.headers.get("authorization")


@dataclass(frozen=True, slots=True)
class ScriptedLine:
    """One connection of a client's."""

    _connection: ServerConnection

    async def send(self, event: Mapping[str, Any]) -> None:
        """Sends an event."""
        await self._connection.send(json.dumps(event, ensure_ascii=False))


class ScriptedServer:
    """Speaks to one client at a time, word for word as the test wants it.

        async with ScriptedServer() as server:
            await session.connect(url=server.url, api_key="test")
            await server.send({"type": "response.created", "response": {"id": "r"}})
            await settle(session, server)

    `send`, `receive` and `close` must be awaited; without that they do nothing. What is not `async`
    takes effect when it is called.

    Attributes:
        handshakes: of each connection, in order; of refused ones as well.
        received: the client's messages over all connections, in order, as JSON values; binary
            frames as bytes.
        sent: the frames over all connections, as they were sent.

    Args:
        reject_status: refuse every handshake with this HTTP status.
        path: the path of `url`.
        first_event: what each connection gets first, so that `connect` need not wait for it: an
            event that changes nothing. `None`: nothing; set the transport's `first_event_timeout`
            to 0.
    """

    def __init__(
        self,
        *,
        reject_status: int | None = None,
        path: str = "/v1/realtime",
        first_event: Mapping[str, Any] | None = _FIRST_EVENT,
    ) -> None:
        self.handshakes: list[Handshake] = []
        self.received: list[Any] = []
        self.sent: list[str | bytes] = []
        self.frames_sent = 0
        """To the current connection."""
        self.frames_received = 0
        """From the current connection."""
        self._reject_status = reject_status
        self._path = path
        self._first_event = first_event
        self._server: Server | None = None
        self._connection: ServerConnection | None = None
        self._arrived = asyncio.Condition()

    async def __aenter__(self) -> ScriptedServer:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._request,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=2,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        assert self._server is not None, "use it as `async with ScriptedServer() as server`"
        return int(next(iter(self._server.sockets)).getsockname()[1])

    @property
    def url(self) -> str:
        """The URL for `connect(url=...)`."""
        return f"ws://127.0.0.1:{self.port}{self._path}"

    @property
    def is_connected(self) -> bool:
        """Whether a client's connection stands, as far as this side knows."""
        return self._connection is not None

    async def send(self, event: Mapping[str, Any] | str | bytes) -> None:
        """Sends one frame: an event, or text or bytes as they are. Without a client it is lost."""
        frame = json.dumps(event, ensure_ascii=False) if isinstance(event, Mapping) else event
        self.sent.append(frame)
        connection = self._connection
        if connection is None:
            return
        self.frames_sent += 1
        try:
            await connection.send(frame)
        except ConnectionClosed:
            self._gone(connection)

    def current(self) -> ScriptedLine:
        """The connection that a client made last, to send over it when there is another one."""
        assert self._connection is not None, "no client is connected"
        return ScriptedLine(self._connection)

    async def receive(self, count: int) -> list[Any]:
        """Waits until `count` messages have come over all connections; returns them."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)
        return self.received[:count]

    def refuse(self, status: int | None) -> None:
        """Refuses handshakes from now on with this HTTP status; `None`: accepts them again."""
        self._reject_status = status

    def begin_with(self, event: Mapping[str, Any] | None) -> None:
        """Sends that first over each connection from now on; `None`: nothing."""
        self._first_event = event

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Ends the connection with a close frame."""
        connection = self._connection
        if connection is not None:
            self._gone(connection)
            await connection.close(code, reason)

    def terminate(self) -> None:
        """Drops the TCP connection without a word."""
        connection = self._connection
        if connection is not None:
            self._gone(connection)
            connection.transport.abort()

    def _gone(self, connection: ServerConnection) -> None:
        if self._connection is connection:
            self._connection = None

    def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self.handshakes.append(Handshake(request.path, headers))
        if self._reject_status is not None:
            return connection.respond(HTTPStatus(self._reject_status), "refused by the script\n")
        self._connection = connection
        self.frames_sent = self.frames_received = 0
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        if self._first_event is not None:
            await self.send(self._first_event)
        try:
            async for message in connection:
                if self._connection is connection:
                    self.frames_received += 1
                async with self._arrived:
                    is_text = isinstance(message, str)
                    self.received.append(json.loads(message) if is_text else message)
                    self._arrived.notify_all()
        except ConnectionClosed:
            pass
        finally:
            self._gone(connection)
