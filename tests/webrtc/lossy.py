"""A bad network between a client and a server of WebRTC calls: it loses packets, or is narrow."""

from __future__ import annotations

import asyncio
import random
import re
import time
import urllib.request
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_CANDIDATE = re.compile(r"a=candidate:.*\r\n")
_HOST = re.compile(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", re.I)


@dataclass
class _Way(asyncio.DatagramProtocol):
    """One direction's socket: what comes in on it leaves by the other one."""

    network: LossyNetwork
    towards: tuple[str, int] | None = None
    other: _Way | None = None
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        if self is self.network.near and not self.network.admits(address):
            return
        # The answer goes back to where it was asked from.
        self.towards = address
        self.network.carry(data, self.other)

    @property
    def port(self) -> int:
        assert self.transport is not None
        return int(self.transport.get_extra_info("sockname")[1])


@dataclass
class LossyNetwork:
    """Stands between: give its `url` to the client in place of the server's.

    It is a good network until `spoil`. What is lost, and how late the rest is, depends on the seed
    and on the order of the packets alone. `admits` says from which addresses the client is let in.
    `ahead_s` is how far the server's clock, as its answers state it, is ahead of this machine's.
    """

    server: str
    seed: int = 1
    loss: float = 0.0
    jitter_s: float = 0.0
    ahead_s: float | None = None
    admits: Callable[[tuple[str, int]], bool] = lambda _address: True
    carried: int = 0
    lost: int = 0
    bitrate: float | None = None
    """What the way to the server carries, in bits per second; it queues for `queue_s` at most."""
    queue_s: float = 0.3
    near: _Way | None = None
    _free_at: float = 0.0
    _random: random.Random = field(init=False)
    _ways: list[_Way] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def spoil(self, *, loss: float, jitter_s: float) -> None:
        self.loss, self.jitter_s = loss, jitter_s

    def narrow(self, bitrate: float | None, *, queue_s: float) -> None:
        """Let the way to the server carry so many bits per second, IP and UDP included."""
        self.bitrate, self.queue_s = bitrate, queue_s

    async def __aenter__(self) -> Self:
        self._signalling = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._signalling.close()
        for way in self._ways:
            if way.transport is not None:
                way.transport.close()

    @property
    def url(self) -> str:
        port = self._signalling.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1/realtime/calls"

    def carry(self, data: bytes, way: _Way | None) -> None:
        """Pass a packet on, late, or not at all."""
        self.carried += 1
        lost, late = self._random.random(), self._random.random()
        if lost < self.loss:
            self.lost += 1
            return
        loop = asyncio.get_running_loop()
        at = loop.time()
        if self.bitrate is not None and way is not self.near:
            begins = max(at, self._free_at)
            if begins - at > self.queue_s:
                self.lost += 1
                return
            at = self._free_at = begins + 8 * (len(data) + 28) / self.bitrate
        loop.call_at(at + late * self.jitter_s, self._deliver, data, way)

    def _deliver(self, data: bytes, way: _Way | None) -> None:
        if way is None or way.towards is None or way.transport is None:
            return
        if not way.transport.is_closing():
            way.transport.sendto(data, way.towards)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(re.search(r"content-length: *(\d+)", head, re.I)[1])  # type: ignore[index]
        offer = (await reader.readexactly(length)).decode()
        near, far = await self._open(), await self._open()
        near.other, far.other = far, near
        self.near = near
        answer = await asyncio.to_thread(self._ask, _through(offer, far.port))
        host = _HOST.search(answer)
        assert host is not None, answer
        far.towards = (host[1], int(host[2]))
        # A client is answered from the address that it asks from.
        client = _HOST.search(offer)
        body = _through(answer, near.port, client[1] if client else "127.0.0.1").encode()
        date = ""
        if self.ahead_s is not None:
            date = f"date: {formatdate(time.time() + self.ahead_s, usegmt=True)}\r\n"
        writer.write(
            b"HTTP/1.1 201 Created\r\ncontent-type: application/sdp\r\n"
            + date.encode()
            + b"location: /v1/realtime/calls/rtc_1\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    async def _open(self) -> _Way:
        loop = asyncio.get_running_loop()
        way = _Way(self)
        await loop.create_datagram_endpoint(lambda: way, local_addr=("0.0.0.0", 0))
        self._ways.append(way)
        return way

    def _ask(self, offer: str) -> str:
        headers = {"content-type": "application/sdp", "authorization": "Bearer any"}
        request = urllib.request.Request(self.server, offer.encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.read().decode())


def _through(sdp: str, port: int, address: str = "127.0.0.1") -> str:
    """Leave only the way through the network in a description."""
    way = f"a=candidate:1 1 udp 2130706431 {address} {port} typ host\r\n"
    sections = _CANDIDATE.sub("", sdp).split("m=")
    return "m=".join([sections[0], *(section + way for section in sections[1:])])
