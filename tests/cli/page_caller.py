"""A caller's web page, as a test drives it: it speaks the wire of `stapes.js`."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["PageCaller"]

_RATE = 24_000
_FRAME = _RATE * 40 // 1000 * 2
"""Bytes of 40 ms."""


class PageCaller:
    """Plays what it gets at once, and returns each mark when it comes."""

    def __init__(self, url: str, *, origin: str | None = None) -> None:
        self.url = url
        self.origin = origin or f"http://{url.removeprefix('ws://').partition('/')[0]}"
        self.call_id = str(uuid4())
        self.heard = bytearray()
        self.events: list[dict[str, Any]] = []
        self.ended: dict[str, Any] | None = None
        self.close_code: int | None = None
        self._generation = 0
        self._played = 0
        self._changed = asyncio.Event()
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    @property
    def tools(self) -> list[tuple[str, str]]:
        """The tools of which the page was told, and how each went."""
        return [(one["name"], one["status"]) for one in self.events if one["type"] == "tool"]

    @property
    def agents(self) -> list[str]:
        return [event["name"] for event in self.events if event["type"] == "agent"]

    def said(self, role: str) -> list[str]:
        """What one side has said, each message as far as it is known."""
        texts = {
            event["item_id"]: event["text"]
            for event in self.events
            if event["type"] == "transcript" and event["role"] == role
        }
        return list(texts.values())

    async def __aenter__(self) -> PageCaller:
        self._socket = await connect(
            self.url, subprotocols=["stapes.browser.v1"], origin=self.origin
        )
        self._reading = asyncio.create_task(self._read())
        await self.send(
            type="start", call_id=self.call_id, codec="pcm", sample_rate=_RATE, parameters={}
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(ConnectionClosed):
            await self.send(type="end")
        await self.socket.close()
        assert self._reading is not None
        await self._reading

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def say(self, sound: bytes, *, silence: float = 1.0) -> None:
        """Speak, and be silent then, so that the turn ends."""
        spoken = sound + bytes(int(silence * _RATE) * 2)
        for start in range(0, len(spoken), _FRAME):
            header = struct.pack("<II", self._generation, self._played)
            await self.socket.send(header + spoken[start : start + _FRAME])

    async def until(self, condition: Callable[[], Any], *, seconds: float = 15.0) -> None:
        """Wait for what the server sends to make a condition true."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            async for frame in self.socket:
                await self._take(frame)
                self._changed.set()
        self.close_code = self.socket.close_code
        self._changed.set()

    async def _take(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            self.heard += frame
            self._played += len(frame) // 2
            await self.socket.send(struct.pack("<II", self._generation, self._played))
            return
        match message := json.loads(frame):
            case {"type": "mark", "id": number}:
                await self.send(type="mark", id=number)
            case {"type": "clear", "generation": generation}:
                self._generation, self._played = generation, 0
            case {"type": "event", "event": event}:
                self.events.append(event)
            case {"type": "end"}:
                self.ended = message
            case _:
                pass
