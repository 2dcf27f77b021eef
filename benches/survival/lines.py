"""The line between a session and its server, which may be long."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

READ_BYTES = 64 * 1024


@contextlib.asynccontextmanager
async def long_line(url: str, rtt_s: float) -> AsyncIterator[str]:
    """A URL behind which that server is, so far away that an answer takes `rtt_s`.

    The handshake of TCP would take as long. Its answer comes from this machine: it is waited for.
    """
    host, _, path = url.removeprefix("ws://").partition("/")
    name, _, port = host.partition(":")
    lines: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(rtt_s)
        far_reader, far_writer = await asyncio.open_connection(name, int(port))
        await asyncio.gather(
            _delay(reader, far_writer, rtt_s / 2), _delay(far_reader, writer, rtt_s / 2)
        )

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.create_task(carry(reader, writer))
        lines.add(line)
        line.add_done_callback(lines.discard)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        near = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{near}/{path}"
        for line in list(lines):
            line.cancel()


async def _delay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
) -> None:
    """Passes bytes on after a time, and the end of them as a reset."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def write() -> None:
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                writer.transport.abort()
                return
            writer.write(data)

    writing = asyncio.create_task(write())
    with contextlib.suppress(OSError):
        while data := await reader.read(READ_BYTES):
            waiting.put_nowait((loop.time() + seconds, data))
    waiting.put_nowait((loop.time() + seconds, b""))
    await writing
