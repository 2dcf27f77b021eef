"""Transcriptions and translations with a scripted server, under a clock that the test moves."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from stapes import RealtimeTranscription, RealtimeTranslation
from stapes.testing import ScriptedServer, VirtualClock, settle

KEY = "sk-secret-0123456789abcdef"
SAID = "conversation.item.input_audio_transcription"


def sound(ms: int, value: int = 0) -> bytes:
    """PCM at 24 kHz."""
    return bytes([value]) * (48 * ms)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@dataclass
class Scripted:
    """A session without an agent, a scripted server, and what came of it."""

    session: RealtimeTranscription | RealtimeTranslation
    server: ScriptedServer
    clock: VirtualClock
    events: list[Any] = field(default_factory=list)
    _before: int = 0

    async def says(self, *events: dict[str, Any] | str) -> None:
        """The server sends these, and everything comes to rest."""
        for event in events:
            await self.server.send(event)
        await self.settle()

    async def settle(self) -> None:
        await settle(self.session, self.server)

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.told() if message["type"] == kind]

    def told(self) -> list[dict[str, Any]]:
        """The messages over the newest connection."""
        return self.server.received[self._before :]

    def heard(self, kind: str = "input_audio_buffer.append") -> bytes:
        """The sound that the newest connection was told."""
        return b"".join(base64.b64decode(message["audio"]) for message in self.sent(kind))

    def seen(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    async def after(self, seconds: float) -> None:
        """Time passes."""
        self.clock.advance(seconds)
        await self.settle()

    async def loses(self) -> None:
        """The connection breaks without a word."""
        self.server.terminate()
        await self.settle()
        assert self.session.status == "reconnecting"
        self._before = len(self.server.received)


class Scripts:
    """Makes sessions, and ends them."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._made: list[Scripted] = []

    async def _begin(self, make: Any, connect: bool) -> Scripted:
        clock = VirtualClock()
        made = Scripted(clock.made(make), self._server, clock)
        made.session.on("*", made.events.append)
        self._made.append(made)
        if connect:
            await made.session.connect(url=self._server.url)
            await made.settle()
        return made

    async def transcribe(self, *, connect: bool = True, **options: Any) -> Scripted:
        options.setdefault("reconnect", None)
        options.setdefault("api_key", KEY)
        return await self._begin(lambda: RealtimeTranscription(**options), connect)

    async def translate(
        self, language: str = "es", *, connect: bool = True, **options: Any
    ) -> Scripted:
        options.setdefault("reconnect", None)
        options.setdefault("api_key", KEY)
        return await self._begin(lambda: RealtimeTranslation(language, **options), connect)

    async def end(self) -> None:
        for made in self._made:
            await made.session.close()
            await made.settle()


__all__ = ["KEY", "SAID", "Scripted", "Scripts", "encoded", "sound"]
