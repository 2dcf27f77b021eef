"""A network between a browser and a server, which passes what the test lets it pass."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from contextlib import suppress
from typing import Self

CANDIDATE = re.compile(rb"(a=candidate:\S+ \d+ udp \d+ )(\S+) (\d+)")
HEADER_END = b"\r\n\r\n"


class Network:
    """Stands in front of a server: it takes its TCP connections, and the UDP of its calls.

    Pages and servers do not know each other's addresses: those in an offer are left out, and those
    in an answer are this network's.

    Attributes:
        url: of the server, as the browser sees it.
        udp_passes: what is sent over WebRTC arrives.
        answers_pass: what the server sends over WebRTC arrives, if `udp_passes`.
        offers_pass: offers of WebRTC are answered.
        offers: how many offers came.
        hang_ups: how often a page has hung up a line over WebRTC.
        tcp_passes: new connections of HTTP and WebSocket are made.
        jitter: seconds by which what is sent over WebRTC to the page is late, each by another
            part of them.
    """

    def __init__(self, url: str) -> None:
        self._port = int(url.rstrip("/").rpartition(":")[2])
        self.udp_passes = True
        self.tcp_passes = True
        self.jitter = 0.0
        self.answers_pass = True
        self.offers_pass = True
        self.offers = 0
        self.hang_ups = 0
        self._chance = random.Random(1)
        self._sockets: list[socket.socket] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for each in self._sockets:
            asyncio.get_running_loop().remove_reader(each)
            each.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(HEADER_END)
            self.hang_ups += head.startswith(b"DELETE")
            if self.tcp_passes:
                there, back = await asyncio.open_connection("127.0.0.1", self._port)
                if head.startswith(b"POST"):
                    await self._offer(head, reader, writer, there, back)
                else:
                    # Of each connection the first request is looked at: it is the only one.
                    is_upgrade = b"\r\nupgrade:" in head.lower()
                    back.write(head if is_upgrade else _closing(head))
                    await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        writer.close()

    async def _offer(
        self,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        back: asyncio.StreamWriter,
    ) -> None:
        """Passes an offer on without its addresses, and the answer with others."""
        self.offers += 1
        if not self.offers_pass:
            back.close()
            return
        offer = await reader.readexactly(_length(head))
        offer = b"".join(it for it in offer.splitlines(True) if not it.startswith(b"a=candidate"))
        back.write(_sized(head, offer) + offer)
        head = await there.readuntil(HEADER_END)
        answer = await there.readexactly(_length(head))
        answer = CANDIDATE.sub(self._instead, answer)
        writer.write(_sized(head, answer) + answer)
        await writer.drain()
        back.close()

    def _instead(self, candidate: re.Match[bytes]) -> bytes:
        before, address, port = candidate.groups()
        ours = self._between((address.decode(), int(port)))
        return before + b"127.0.0.1 " + str(ours).encode()

    def _between(self, server: tuple[str, int]) -> int:
        """A port whose datagrams go to the server, and come back from it."""
        outer = self._socket()
        inner: dict[tuple[str, int], socket.socket] = {}
        loop = asyncio.get_running_loop()

        def come() -> None:
            data, page = outer.recvfrom(2048)
            if page not in inner:
                inner[page] = self._socket()
                loop.add_reader(inner[page], go, page)
            if self.udp_passes:
                inner[page].sendto(data, server)

        def go(page: tuple[str, int]) -> None:
            data = inner[page].recv(2048)
            passes = self.udp_passes and self.answers_pass
            if passes and self.jitter:
                loop.call_later(self.jitter * self._chance.random(), send, data, page)
            elif passes:
                outer.sendto(data, page)

        def send(data: bytes, page: tuple[str, int]) -> None:
            # The test may be over.
            with suppress(OSError):
                outer.sendto(data, page)

        loop.add_reader(outer, come)
        port: int = outer.getsockname()[1]
        return port

    def _socket(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind(("127.0.0.1", 0))
        self._sockets.append(made)
        return made


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split()[0])


def _closing(head: bytes, *fields: bytes) -> bytes:
    """The head of the last message of its connection, without a length, and with more fields."""
    lines = head.removesuffix(HEADER_END).split(b"\r\n")
    left_out = (b"content-length", b"connection")
    kept = [it for it in lines if it.partition(b":")[0].lower() not in left_out]
    return b"\r\n".join([*kept, b"Connection: close", *fields]) + HEADER_END


def _sized(head: bytes, body: bytes) -> bytes:
    return _closing(head, b"Content-Length: %d" % len(body))
