"""Pours large bodies into a server, in a process of its own: `tracemalloc` counts all threads'."""

from __future__ import annotations

import asyncio
import json
import socket
import tracemalloc
from itertools import product
from typing import TYPE_CHECKING

from raw_http import address, post

from stapes.devserver import DevServer

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 20.0
SIZE, PIECE = 32 * 1024 * 1024, bytes(65_536)
FIELD = b'--b\r\nContent-Disposition: form-data; name="sdp"\r\n\r\n'
PATHS = ("/v1/realtime/calls", "/v1/realtime/client_secrets")
KINDS = ("multipart/form-data; boundary=b", "application/sdp")
LENGTHS = ("Content-Length", "Transfer-Encoding")
CASES = {" ".join(case): case for case in product(PATHS, KINDS, LENGTHS)}


async def refused(address: tuple[str, int], start: bytes, piece: bytes) -> bytes:
    """Pour a body until the server answers: the beginning of its answer."""
    loop = asyncio.get_running_loop()
    # A stream would forget the answer where the server closes before all has been written.
    with socket.create_connection(address) as client:
        client.setblocking(False)
        await loop.sock_sendall(client, start)

        async def pour() -> None:
            for _ in range(SIZE // len(PIECE)):
                await loop.sock_sendall(client, piece)

        pouring = asyncio.create_task(pour())
        async with asyncio.timeout(SECONDS):
            answer = await loop.sock_recv(client, 1024)
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
    return answer


def request(path: str, kind: str, length: str) -> tuple[bytes, bytes]:
    """The beginning of a request, and the piece that is sent again and again."""
    head = post(path, f"Content-Type: {kind}", length=SIZE)
    if length == "Content-Length":
        return head.encode() + FIELD, PIECE
    head = head.replace(f"Content-Length: {SIZE}", "Transfer-Encoding: chunked")
    return head.encode() + _chunk(FIELD), _chunk(PIECE)


def _chunk(block: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(block), block)


async def main(cases: Mapping[str, tuple[str, str, str]]) -> dict[str, tuple[str, int]]:
    """The status of each answer, and the most memory that was taken until it came."""
    measured = {}
    for name, case in cases.items():
        start, piece = request(*case)
        async with DevServer() as server:
            tracemalloc.start()
            answer = await refused(address(server), start, piece)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        measured[name] = (answer.split()[1].decode(), most)
    return measured


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(CASES))))
