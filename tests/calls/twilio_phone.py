"""A caller's phone behind Twilio's media stream, as a test drives it."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["FRAME", "TwilioPhone"]

FRAME = 160
"""Bytes of 20 ms of mu-law."""


class TwilioPhone:
    """Speaks to a listener; marks come back when the test says so."""

    def __init__(
        self,
        url: str,
        *,
        call: str = "CA1",
        stream: str = "MZ1",
        headers: dict[str, str] | None = None,
        **parameters: str,
    ) -> None:
        self.url = url
        self.headers = headers
        self.call = call
        self.stream = stream
        self.parameters = parameters
        self.heard = bytearray()
        self.marks: list[str] = []
        self.clears = 0
        self.frames: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self._changed = asyncio.Event()
        self._chunk = 0
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def socket(self) -> ClientConnection:
        """The connection."""
        assert self._socket is not None
        return self._socket

    async def __aenter__(self) -> TwilioPhone:
        self._socket = await connect(self.url, additional_headers=self.headers)
        self._reading = asyncio.create_task(self._read())
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
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
        """Sends a frame."""
        await self.socket.send(json.dumps(message))

    async def start(self) -> None:
        """Begins the stream."""
        await self.send(
            {
                "event": "start",
                "sequenceNumber": "1",
                "start": {
                    "accountSid": "AC1",
                    "streamSid": self.stream,
                    "callSid": self.call,
                    "tracks": ["inbound"],
                    "mediaFormat": {
                        "encoding": "audio/x-mulaw",
                        "sampleRate": 8000,
                        "channels": 1,
                    },
                    "customParameters": self.parameters,
                },
                "streamSid": self.stream,
            }
        )

    async def say(self, sound: bytes) -> None:
        """Sends sound in packets of 20 ms, all at once."""
        for at in range(0, len(sound), FRAME):
            payload = base64.b64encode(sound[at : at + FRAME]).decode()
            media = {
                "track": "inbound",
                "chunk": str(self._chunk + 1),
                "timestamp": str(self._chunk * 20),
                "payload": payload,
            }
            await self.send({"event": "media", "media": media, "streamSid": self.stream})
            self._chunk += 1

    async def return_mark(self, name: str) -> None:
        """Says that the sound before a mark was played."""
        await self.send({"event": "mark", "mark": {"name": name}, "streamSid": self.stream})

    async def press(self, digit: str) -> None:
        """Presses a key."""
        dtmf = {"track": "inbound_track", "digit": digit}
        await self.send({"event": "dtmf", "dtmf": dtmf, "streamSid": self.stream})

    async def hang_up(self) -> None:
        """Ends the stream, as Twilio does when the caller hangs up."""
        stop = {"accountSid": "AC1", "callSid": self.call}
        await self.send({"event": "stop", "stop": stop, "streamSid": self.stream})

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits for a condition that what is heard makes true."""
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            await self._read_frames()
        self.close_code = self.socket.close_code
        self._changed.set()

    async def _read_frames(self) -> None:
        async for text in self.socket:
            message = json.loads(text)
            self.frames.append(message)
            assert message["streamSid"] == self.stream
            match message["event"]:
                case "media":
                    self.heard += base64.b64decode(message["media"]["payload"])
                case "mark":
                    self.marks.append(message["mark"]["name"])
                case "clear":
                    self.clears += 1
            self._changed.set()
