"""A server that speaks the browser's wire: it says what it is told to, and keeps what pages say."""

from __future__ import annotations

import asyncio
import json
import struct
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response

from stapes.web import page_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.http11 import Request

SECONDS = 15.0
# As strict as `stapes serve`.
POLICY = (
    "default-src 'self'; connect-src 'self' ws: wss:; style-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'"
)


class Frame(NamedTuple):
    """A binary message of the page's."""

    generation: int
    played: int
    sound: bytes
    at: float

    def __repr__(self) -> str:
        return f"<{len(self.sound)} bytes at {self.played} of {self.generation}>"


@dataclass
class Line:
    """One connection of a page, from its `start` on."""

    socket: ServerConnection
    start: dict[str, Any]
    frames: list[Frame] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    close_code: int | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def tell(self, type_: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type_, **fields}))

    async def event(self, type_: str, **fields: Any) -> None:
        await self.tell("event", event={"type": type_, **fields})

    async def play(self, pcm: np.ndarray, frame: int = 960) -> None:
        """Sends sound as an answer comes: at once."""
        for at in range(0, len(pcm), frame):
            await self.socket.send(pcm[at : at + frame].astype("<i2").tobytes())

    async def until(self, holds: Callable[[], Any], what: str = "") -> Any:
        """Waits until something holds that a message of the page's brings about."""
        async with self.changed:
            try:
                async with asyncio.timeout(SECONDS):
                    await self.changed.wait_for(holds)
            except TimeoutError:
                last = self.frames[-1][:2] if self.frames else None
                raise AssertionError(f"{what}: {last}, {self.texts}, {self.close_code}") from None
        return holds()

    async def until_played(self, samples: int, generation: int = 0) -> Frame:
        """Waits until so much of a generation was played, and returns the report of it."""

        def reports() -> Frame | None:
            return next(
                (
                    frame
                    for frame in self.frames
                    if frame.generation == generation and frame.played >= samples
                ),
                None,
            )

        report: Frame = await self.until(reports, f"{samples} samples of {generation}")
        return report

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [text for text in self.texts if text["type"] == type_]

    def heard(self) -> np.ndarray:
        """All that the microphone sent, as PCM16."""
        return np.frombuffer(b"".join(frame.sound for frame in self.frames), "<i2")

    async def read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async for message in self.socket:
                if isinstance(message, str):
                    self.texts.append(json.loads(message))
                else:
                    generation, played = struct.unpack_from("<II", message)
                    self.frames.append(Frame(generation, played, message[8:], loop.time()))
                async with self.changed:
                    self.changed.notify_all()
        except ConnectionClosed:
            pass
        async with self.changed:
            self.close_code = self.socket.close_code
            self.changed.notify_all()


class PageServer:
    """Serves the page, and takes its calls."""

    def __init__(self) -> None:
        self.files = dict(page_files())
        self.lines: asyncio.Queue[Line] = asyncio.Queue()
        # Ids of the calls that stand: a page that dials again goes on with its own.
        self.standing: set[str] = set()
        # Close codes for the next connections, before they are taken.
        self.refusals: list[int] = []
        self.dials = 0
        # All that browsers have asked for.
        self.paths: list[str] = []

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._take,
            "127.0.0.1",
            0,
            process_request=self._request,
            subprotocols=["stapes.browser.v1"],  # type: ignore[list-item]
            compression=None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def next_line(self) -> Line:
        async with asyncio.timeout(SECONDS):
            return await self.lines.get()

    async def _request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        path = request.path.partition("?")[0]
        if path == "/talk":
            return None
        file = self.files.get(path)
        if file is None:
            return connection.respond(HTTPStatus.NOT_FOUND, f"no {path}\n")
        headers = Headers(
            {
                "content-type": file.content_type,
                "content-length": str(len(file.content)),
                "content-security-policy": POLICY,
                "x-content-type-options": "nosniff",
                "connection": "close",
            }
        )
        return Response(200, "OK", headers, file.content)

    async def _take(self, socket: ServerConnection) -> None:
        self.dials += 1
        assert socket.subprotocol == "stapes.browser.v1"
        if self.refusals:
            await socket.close(self.refusals.pop(0))
            return
        line = Line(socket, json.loads(await socket.recv()))
        call_id = line.start["call_id"]
        await line.tell("started", resumed=call_id in self.standing)
        self.standing.add(call_id)
        self.lines.put_nowait(line)
        await line.read()
