"""Servers that behave badly, and an authority whose certificates nobody trusts."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

Behaviour = "Callable[[ServerConnection], Awaitable[object]]"


@asynccontextmanager
async def rude(behave: Behaviour, **options: Any) -> AsyncIterator[str]:
    """A WebSocket server that does as it likes with each connection; its URL."""

    tasks = set()

    async def handle(socket: ServerConnection) -> None:
        tasks.add(asyncio.current_task())
        with suppress(ConnectionClosed, asyncio.CancelledError):
            await behave(socket)

    async with serve(handle, "127.0.0.1", 0, max_size=None, **options) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"{'wss' if options.get('ssl') else 'ws'}://localhost:{port}/v1/realtime"
        finally:
            for connection in tuple(server.connections):
                connection.transport.abort()
            for task in tasks:
                task.cancel()


@asynccontextmanager
async def raw(behave: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> Any:
    """A TCP server that does as it likes; its URL as if it were a realtime server."""
    tasks = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.CancelledError):
            await behave(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def certificates(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A server's TLS for `localhost`, and the file with the authority that signed it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return context, str(path)
