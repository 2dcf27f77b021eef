"""A client that speaks other dialects, by hand-written frames, and how each of them has it."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from wire_client import SECONDS, WireClient

from stapes.devserver.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.devserver import DevServer

Event = dict[str, Any]
WEATHER = {
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@dataclass(frozen=True)
class Accent:
    """How a dialect says what all of them can say.

    Attributes:
        begins: the types of the events that come unasked.
        session: a configuration: to be called Harbour, hear in English, and have one function.
        input_rate: of the sound that goes in.
        output_rate: of the sound that comes out.
        audio: the beginning of the types of events with sound.
        added: the type of the event that tells of an item.
        part: the type of a spoken part of an answer.
        path: of the URL, in place of the GA protocol's.
        headers: of the handshake.
        check: what each event must fit.
    """

    begins: list[str]
    session: Event
    input_rate: int = 24_000
    output_rate: int = 24_000
    audio: str = "response.audio"
    added: str = "conversation.item.created"
    part: str = "audio"
    headers: Event = field(default_factory=lambda: {"Authorization": "Bearer key"})
    check: Callable[[Event], None] = lambda event: None


class DialectClient(WireClient):
    """One connection; `events` holds all that was read, binary frames as `{"type": "binary"}`."""

    def __init__(self, socket: ClientConnection, accent: Accent) -> None:
        super().__init__(socket)
        self.accent = accent

    async def next(self) -> Event:
        async with asyncio.timeout(SECONDS):
            frame = await self.socket.recv()
        if isinstance(frame, bytes):
            event = {"type": "binary", "frame": frame}
        else:
            event = json.loads(frame)
            self.accent.check(event)
        self.events.append(event)
        return event

    async def configure(self, **settings: Any) -> Event:
        """Send the accent's configuration and more, and return the session that is told."""
        await self.send("session.update", session={**self.accent.session, **settings})
        updated: Event = (await self.until("session.updated"))["session"]
        return updated

    async def hear_speech(self, pcm: bytes) -> None:
        """Send what somebody says, and silence after it; PCM16 at 24 kHz."""
        sound = np.frombuffer(pcm + bytes(48 * 1_600), dtype="<i2")
        await self.hear(at_rate(sound, self.accent.input_rate))

    def sound(self) -> bytes:
        """Return all sound that was spoken, as PCM16 of the accent's rate."""
        deltas = [e for e in self.events if e["type"] == f"{self.accent.audio}.delta"]
        return b"".join(base64.b64decode(event["delta"]) for event in deltas)


def at_rate(samples: np.ndarray[Any, Any], rate: int) -> bytes:
    """Convert PCM16 of 24 kHz."""
    converted = resample(samples.astype(np.float32), 24_000, rate)
    return np.clip(np.rint(converted), -32_768, 32_767).astype("<i2").tobytes()


async def dial(
    server: DevServer, accent: Accent, query: str = "?model=gpt-realtime"
) -> DialectClient:
    """Connect and read what comes unasked."""
    socket = await connect(
        server.url + query, additional_headers=accent.headers, max_size=None, max_queue=None
    )
    client = DialectClient(socket, accent)
    for _ in accent.begins:
        await client.next()
    assert client.types() == accent.begins
    return client
