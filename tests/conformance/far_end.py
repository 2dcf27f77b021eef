"""A phone behind Twilio's media stream, in memory: what an app has instead of a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

__all__ = ["BYTES_PER_MS", "Phone", "SentMark", "TwilioSocket", "payload_of"]

BYTES_PER_MS = 8
"""Of mu-law at 8 kHz."""


class TwilioSocket:
    """The WebSocket of an ASGI app whose far end is the test."""

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        self.is_open = True
        self._take = take
        self._inbox: asyncio.Queue[dict[str, Any] | BaseException] = asyncio.Queue()

    def say(self, text: str) -> None:
        """Twilio sends a frame."""
        if self.is_open:
            self._inbox.put_nowait({"type": "websocket.receive", "text": text})

    def end(self, code: int) -> None:
        """The connection is over; an ASGI server tells it by the code alone."""
        if self.is_open:
            self.is_open = False
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})

    def fail(self, error: BaseException) -> None:
        """Reading raises, as that of an app's own WebSocket may."""
        self._inbox.put_nowait(error)

    @property
    def is_read(self) -> bool:
        """Whether all that Twilio sent was taken."""
        return self._inbox.empty()

    # What an ASGI app calls.

    async def accept(self, subprotocol: str | None = None) -> None:
        """Answers the handshake."""

    async def receive(self) -> MutableMapping[str, Any]:
        """The next message."""
        message = await self._inbox.get()
        if isinstance(message, BaseException):
            raise message
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Takes a message of the app's."""
        if message["type"] == "websocket.close":
            self.end(1000)
        else:
            self._take(json.loads(message["text"]))


@dataclass(slots=True)
class SentMark:
    """A mark that the phone was sent."""

    name: str
    ordinal: int
    at: int
    """Bytes of sound that were sent before it."""
    is_returned: bool = False


@dataclass(slots=True)
class _Piece:
    item_id: str | None
    length: int


@dataclass(slots=True)
class Phone:
    """Knows what it was sent, and plays it where `plays` is set.

    Attributes:
        plays: it plays 8 bytes in a millisecond of virtual time, and returns the marks that it
            reaches. Otherwise marks come back when the test says so.
        stream_id: of the stream that has started, as Twilio knows it.
    """

    plays: bool = False
    stream_id: str | None = None
    marks: list[SentMark] = field(default_factory=list)
    ignored_bytes: int = 0
    got: int = 0
    """Bytes that came."""
    heard: dict[str, int] = field(default_factory=dict)
    """Bytes of each item that were played."""
    _waiting: list[_Piece] = field(default_factory=list)
    _done: int = 0
    """Bytes that were played or dropped."""

    def takes(self, message: dict[str, Any]) -> bool:
        """Whether a message is of the stream that has started."""
        return self.stream_id is None or message.get("streamSid") == self.stream_id

    def sound(self, item_id: str | None, length: int) -> None:
        """Sound has come, behind all that waits."""
        self.got += length
        self._waiting.append(_Piece(item_id, length))
        if self.plays and item_id is not None:
            self.heard.setdefault(item_id, 0)

    def mark(self, name: str) -> SentMark:
        """A mark has come."""
        mark = SentMark(name, len(self.marks), self.got)
        self.marks.append(mark)
        return mark

    def clear(self) -> int:
        """Drops what waits, which returns its marks where the phone plays; the bytes dropped."""
        dropped = sum(piece.length for piece in self._waiting)
        self._waiting.clear()
        self._done += dropped
        return dropped

    @property
    def still_to_play(self) -> int:
        """Bytes that wait."""
        return sum(piece.length for piece in self._waiting)

    def open_marks(self) -> list[SentMark]:
        """Those that have not been returned."""
        return [mark for mark in self.marks if not mark.is_returned]

    def until_mark(self) -> float | None:
        """Milliseconds until a mark is reached; `None` where none is ahead."""
        ahead = [mark.at - self._done for mark in self.open_marks()]
        return max(0, min(ahead)) / BYTES_PER_MS if ahead else None

    def until(self, at: int) -> float:
        """Milliseconds until so many bytes were played, of those that came."""
        return max(0, min(at, self.got) - self._done) / BYTES_PER_MS

    def play(self, ms: float) -> None:
        """Time passes."""
        left = round(ms * BYTES_PER_MS)
        while left and self._waiting:
            piece = self._waiting[0]
            played = min(left, piece.length)
            if piece.item_id is not None:
                self.heard[piece.item_id] = self.heard.get(piece.item_id, 0) + played
            piece.length -= played
            left -= played
            self._done += played
            if not piece.length:
                del self._waiting[0]

    def reached(self) -> list[SentMark]:
        """The open marks whose sound is over, in order."""
        return [mark for mark in self.open_marks() if mark.at <= self._done]

    def returned(self, mark: SentMark) -> str:
        """The frame that returns a mark."""
        mark.is_returned = True
        message = {"event": "mark", "streamSid": self.stream_id, "mark": {"name": mark.name}}
        return json.dumps(message)


def payload_of(message: dict[str, Any]) -> bytes:
    """The sound of a media message."""
    return base64.b64decode(message["media"]["payload"])
