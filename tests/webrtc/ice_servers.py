"""STUN and TURN servers, and a server that only takes offers."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import struct
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import trustme

COOKIE = 0x2112A442
BINDING_REQUEST, BINDING_SUCCESS = 0x0001, 0x0101
XOR_MAPPED_ADDRESS = 0x0020


@dataclass
class StunServer(asyncio.DatagramProtocol):
    """As small as can be (RFC 8489): it tells everybody that they are seen at `seen_at`.

    It says nothing while it is `silent`.
    """

    seen_at: tuple[str, int]
    silent: bool = False
    asked: int = 0
    _transport: Any = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    @property
    def url(self) -> str:
        return f"stun:127.0.0.1:{self._transport.get_extra_info('sockname')[1]}"

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        kind, _, cookie, transaction = struct.unpack("!HHI12s", data[:20])
        if kind != BINDING_REQUEST or cookie != COOKIE:
            return
        self.asked += 1
        if self.silent:
            return
        host, port = self.seen_at
        ip = int.from_bytes(map(int, host.split(".")))
        seen = struct.pack("!BBHI", 0, 1, port ^ COOKIE >> 16, ip ^ COOKIE)
        attribute = struct.pack("!HH", XOR_MAPPED_ADDRESS, len(seen)) + seen
        head = struct.pack("!HHI12s", BINDING_SUCCESS, len(attribute), COOKIE, transaction)
        self._transport.sendto(head + attribute, address)


@dataclass
class TurnServer:
    """coturn, which is none of ours. It relays from its `ports`.

    It is reached over UDP, TCP and TLS; `ca_file` vouches for it.
    """

    username: str = "caller"
    credential: str = "open-sesame"
    ports: range = range(0)
    url: str = ""
    tcp_url: str = ""
    tls_url: str = ""
    ca_file: Path = Path()
    _folder: Any = None
    _process: Any = None

    @staticmethod
    def is_installed() -> bool:
        return shutil.which("turnserver") is not None

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        own = authority.issue_cert("localhost")
        own.private_key_pem.write_to_path(str(folder / "key.pem"))
        for part in own.cert_chain_pems:
            part.write_to_path(str(folder / "cert.pem"), append=True)
        port, tls_port = _free_port(), _free_port()
        self.ports = range(50_000, 50_100)
        self.url = f"turn:127.0.0.1:{port}?transport=udp"
        self.tcp_url = f"turn:127.0.0.1:{port}?transport=tcp"
        self.tls_url = f"turns:localhost:{tls_port}"
        options = {
            "listening-ip": "127.0.0.1",
            "relay-ip": "127.0.0.1",
            "listening-port": port,
            "tls-listening-port": tls_port,
            "cert": folder / "cert.pem",
            "pkey": folder / "key.pem",
            "min-port": self.ports.start,
            "max-port": self.ports.stop - 1,
            "user": f"{self.username}:{self.credential}",
            "realm": "test",
            "log-file": "stdout",
            "pidfile": "/dev/null",
            "userdb": "/dev/null",
        }
        flags = ("no-cli", "no-dtls", "lt-cred-mech", "allow-loopback-peers")
        self._process = await asyncio.create_subprocess_exec(
            "turnserver",
            "-n",
            *(f"--{name}={value}" for name, value in options.items()),
            *(f"--{name}" for name in flags),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await _until_it_answers(port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        self._folder.cleanup()

    async def stop(self) -> None:
        """End it, and its connections."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        await self._process.wait()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _until_it_answers(port: int) -> None:
    answered = asyncio.Event()

    class Asking(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: Any) -> None:
            answered.set()

    loop = asyncio.get_running_loop()
    asking, _ = await loop.create_datagram_endpoint(Asking, remote_addr=("127.0.0.1", port))
    request = struct.pack("!HHI12s", BINDING_REQUEST, 0, COOKIE, bytes(12))
    async with asyncio.timeout(10):
        while not answered.is_set():
            asking.sendto(request)
            await asyncio.sleep(0.05)
    asking.close()


@dataclass
class OfferTaker:
    """Takes offers, keeps them, and refuses."""

    host: str = "127.0.0.1"
    offers: list[str] = field(default_factory=list)
    _server: Any = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    @property
    def url(self) -> str:
        port = self._server.sockets[0].getsockname()[1]
        return f"http://{self.host}:{port}/v1/realtime/calls"

    def candidates(self, kind: str) -> list[tuple[str, int]]:
        """The addresses of a kind that the last offer names."""
        found = re.findall(
            rf"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ {kind}\b", self.offers[-1], re.IGNORECASE
        )
        return [(host, int(port)) for host, port in found]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            # The client gave up before it offered anything.
            writer.close()
            return
        length = re.search(r"content-length: *(\d+)", head, re.IGNORECASE)
        assert length is not None
        self.offers.append((await reader.readexactly(int(length[1]))).decode())
        writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
