"""A caller's web page, as a test drives it: what it plays, it plays when the test says so."""

from __future__ import annotations

import asyncio
import json
import struct
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["SUBPROTOCOL", "BrowserPage"]

SUBPROTOCOL: Any = "stapes.browser.v1"


class BrowserPage:
    """Speaks the wire of `stapes.js`.

    Attributes:
        heard: the sound that came, cleared or not.
        messages: the texts that came, as JSON values.
        generation: how many times it was cleared.
        played: samples of this generation that count as played, for the next report.
    """

    def __init__(
        self,
        url: str,
        *,
        call_id: str | None = None,
        codec: str = "pcm",
        sample_rate: int = 24_000,
        origin: str | None = None,
        **parameters: str,
    ) -> None:
        self.url = url
        self.call_id = call_id or str(uuid.uuid4())
        self.codec = codec
        self.sample_rate = sample_rate
        self.origin = origin
        self.parameters = parameters
        self.heard = bytearray()
        self.packets: list[bytes] = []
        self.messages: list[dict[str, Any]] = []
        self.generation = 0
        self.played = 0
        self.close_code: int | None = None
        self._reported = (0, 0, time.monotonic())
        self._changed = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def most_heard_ms(self) -> float:
        """The most that the server may count as heard: the last report, and the time since it."""
        _, played, at = self._reported
        return played / self.sample_rate * 1000 + (time.monotonic() - at) * 1000

    @property
    def socket(self) -> ClientConnection:
        """The connection."""
        assert self._socket is not None
        return self._socket

    async def __aenter__(self) -> BrowserPage:
        origin: Any = self.origin
        self._socket = await connect(self.url, subprotocols=[SUBPROTOCOL], origin=origin)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.close_code is None:
            await self.socket.close()
        assert self._reading is not None
        await self._reading

    async def send(self, message: dict[str, Any]) -> None:
        """Sends a text."""
        await self.socket.send(json.dumps(message))

    async def start(self) -> None:
        """Begins the call."""
        await self.send(
            {
                "type": "start",
                "call_id": self.call_id,
                "codec": self.codec,
                "sample_rate": self.sample_rate,
                "parameters": self.parameters,
            }
        )

    async def say(self, sound: bytes = b"") -> None:
        """Sends sound, and with it what was played; nothing: the report alone."""
        if self._reported[:2] != (self.generation, self.played):
            self._reported = (self.generation, self.played, time.monotonic())
        await self.socket.send(struct.pack("<II", self.generation, self.played) + sound)

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for a condition that what comes makes true."""
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of a type that it was told."""
        events = [message["event"] for message in self.messages if message["type"] == "event"]
        return [event for event in events if event["type"] == kind]

    async def take(self, message: bytes | dict[str, Any]) -> None:
        """Does what a page would do with what has come; nothing: the test says what."""

    def break_off(self) -> None:
        """Breaks the connection."""
        self.socket.transport.abort()

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            await self._read_messages()
        self.close_code = self.socket.close_code
        self._changed.set()

    async def _read_messages(self) -> None:
        async for message in self.socket:
            if isinstance(message, bytes):
                self.heard += message
                self.packets.append(message)
                await self.take(message)
            else:
                read = json.loads(message)
                self.messages.append(read)
                if read["type"] == "clear":
                    self.generation, self.played = read["generation"], 0
                await self.take(read)
            self._changed.set()
