"""One call that is being served, whatever carries it, and the hold that tests have on it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from stapes.devserver.session.call import RealtimeCall, Send
from stapes.devserver.web.conversation_view import ConversationView
from stapes.devserver.web.record import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import HTTPConnection

    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.options import Options
    from stapes.devserver.rudeness import DropWay
    from stapes.devserver.session.config import SessionKind
    from stapes.devserver.session.dialect import Dialect
    from stapes.devserver.session.outbox import Outgoing

Read = Callable[[], Awaitable[str | bytes | None]]
"""Gives the client's next frame; `None` once it has gone."""


class ServedCall(ABC):
    """A call under way, over one connection: a client that connects again is another `ServedCall`.

    `close`, `drop` and `wait_closed` must be awaited; without that they do nothing. What is not
    `async` takes effect when it is called.

    Attributes:
        call: the session itself.
        received: the client's events, as they were read: a `Record`. `DevServer` keeps them, unless
            it was made with `records=False`.
        sent: the server's events, likewise, as they were queued, in GA whatever the connection's
            dialect is.
        query: the parameters of the URL, without the key.
        headers: the headers of the handshake, without the key.
        conversation: what the server knows of the conversation.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        mind: Mind,
        voice: Voice,
        options: Options,
        *,
        kind: SessionKind = "realtime",
        model: str | None = None,
        settings: Sequence[dict[str, Any]] = (),
        sound_apart: bool = False,
        dialect: Dialect | None = None,
        recording: bool = False,
    ) -> None:
        self.received = Record("client")
        self.sent = Record("server")
        self.query = {n: v for n, v in connection.query_params.items() if n != "api-key"}
        self.headers = {
            name: value
            for name, value in connection.headers.items()
            if name not in ("authorization", "api-key", "sec-websocket-protocol", "cookie")
        }
        self.call = RealtimeCall(
            mind,
            voice,
            options,
            kind=kind,
            model=model,
            settings=settings,
            sound_apart=sound_apart,
            dialect=dialect,
            observe=self.sent.add if recording else None,
        )
        self.conversation = ConversationView(self.call, self.received, self.sent)
        self._recording = recording
        self._reading = asyncio.Event()
        self._reading.set()
        self._silent = False
        self._ended = asyncio.Event()

    @abstractmethod
    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection at once, whatever is under way."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection without a word, as a network does that fails."""

    async def drop(self, way: DropWay = "reset", *, seconds: float = 10.0) -> None:
        """Drop the connection now: see `stapes.devserver.WAYS`. `seconds` is of a stall.

        Raises:
            NotImplementedError: the call is carried by no WebSocket.
            ValueError: there is no such way.
        """
        raise NotImplementedError("a call over WebRTC has `close` and `abort`")

    @abstractmethod
    async def _read(self) -> str | bytes | None:
        """Return the client's next frame; `None` once it has gone."""

    @abstractmethod
    async def _write(self, frame: Outgoing) -> None:
        """Send one frame, or close.

        Raises:
            ChannelClosedError: the client has gone.
        """

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._ended.is_set()

    async def join(self, read: Read, write: Send) -> None:
        """Serve one more connection to this call, until it or the call ends."""
        await self.call.join(self._frames(read), write)

    async def wait_closed(self, *, seconds: float = 5.0) -> None:
        """Wait until the connection is over."""
        async with asyncio.timeout(seconds):
            await self._ended.wait()

    def send_raw(self, frame: str | bytes) -> None:
        """Send any text or binary frame, in order with the events."""
        self.call.send_raw(frame)

    def emit(self, type_: str, **fields: Any) -> None:
        """Send a server event of one's own making, in order with the others.

        It is one of the GA protocol; a connection of another dialect translates it. `send_raw`
        sends a frame as it is.
        """
        self.call.emit(type_, **fields)

    def stop_reading(self) -> None:
        """Leave what the client sends unread, until `resume_reading`."""
        self._reading.clear()

    def resume_reading(self) -> None:
        """Read again."""
        self._reading.set()

    def go_silent(self) -> None:
        """Read and record, but do nothing and send nothing any more."""
        self._silent = True

    async def _run(self) -> None:
        """Hold the call to its end."""
        try:
            await self.call.run(self._frames(self._read), self._send)
        finally:
            self._ended.set()

    async def _frames(self, read: Read) -> AsyncIterator[str | bytes]:
        while True:
            await self._reading.wait()
            frame = await read()
            if frame is None:
                return
            await self._reading.wait()
            if self._recording:
                self.received.add_frame(frame)
            if not self._silent:
                yield frame

    async def _send(self, frame: Outgoing) -> None:
        if not self._silent:
            await self._write(frame)
