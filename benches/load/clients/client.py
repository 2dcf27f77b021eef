"""What a client is to the measurement: a session, and a sink for what it hands to user code."""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from array import array
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable


class Sink:
    """What one session's user code received."""

    __slots__ = ("audio_bytes", "done", "errors", "items", "latencies_ns", "turns")

    def __init__(self, turns: int) -> None:
        self.latencies_ns = array("q")
        self.audio_bytes = 0
        self.items = 0
        self.errors = 0
        self.turns = turns
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_audio(self, pcm: Any) -> None:
        # The first 8 bytes are the server's clock, just before it sent them.
        self.latencies_ns.append(monotonic_ns() - int.from_bytes(pcm[:8], "little"))
        self.audio_bytes += len(pcm)

    def on_item(self) -> None:
        self.items += 1

    def on_turn(self) -> None:
        self.turns -= 1
        if self.turns == 0 and not self.done.done():
            self.done.set_result(None)

    def on_error(self, error: object) -> None:
        self.errors += 1
        print("session error:", str(error)[:300], file=sys.stderr)

    def fail(self, error: BaseException) -> None:
        """The session is over before its turns are."""
        if not self.done.done():
            self.done.set_exception(error)


class Client(ABC):
    """One session."""

    sends_at_once = True
    """`send_audio` is a plain call; else it is awaited."""
    hands_out_audio = True
    """User code gets the audio, so that none of it may be missing."""
    feeds_itself = False
    """`start` sees to the microphone as well: it is not ticked."""
    has_items = False
    """It keeps a history, and counts what is added to it."""

    def __init__(self, sink: Sink, mode: str, chunks: int) -> None:
        self.sink = sink
        self.mode = mode
        self.chunks = chunks

    @abstractmethod
    async def open(self, url: str) -> None:
        """Connects."""

    @abstractmethod
    def start(self) -> Awaitable[Any] | None:
        """Asks for a response."""

    @abstractmethod
    def send_audio(self, pcm: bytes) -> Any:
        """Sends a chunk of the microphone's."""

    async def has_spoken(self) -> None:
        """Waits for a microphone that it feeds itself."""
        return

    @abstractmethod
    async def close(self) -> None:
        """Hangs up."""
