"""The full session of stapes."""

from __future__ import annotations

from functools import cache

from agents import Tool, function_tool

from benches.load.clients.client import Client
from benches.load.ticker import MICROPHONE_PCM
from stapes import Audio, Error, RealtimeAgent, RealtimeSession
from stapes.audio import Recording


@cache
def _recording(chunks: int) -> Recording:
    """What microphones say, one for all sessions."""
    return Recording(MICROPHONE_PCM * chunks, sample_rate=24_000)


@function_tool
def look() -> str:
    """Looks."""
    return "nothing"


class StapesQuiet(Client):
    """Nobody is subscribed to audio."""

    hands_out_audio = False
    has_items = True

    async def open(self, url: str) -> None:
        tools: list[Tool] = [look] if self.mode == "tools" else []
        agent = RealtimeAgent(name="load", instructions="Be brief.", tools=tools)
        # A call that comes all at once is more than may wait for a reader by default.
        most = 1 << 30 if self.mode == "blast" else 8 << 20
        session: RealtimeSession[None] = RealtimeSession(
            agent, api_key="unused", max_queued_bytes=most, max_queued_events=most >> 10
        )
        session.on("history_added", self._on_item)
        session.on("agent_end", self._on_turn)
        session.on("error", self._on_error)
        if self.mode in ("transcript", "items", "tools"):
            # What the peers hand out in any case.
            session.on("history_updated", self._ignore)
            session.on("transcript_delta", self._ignore)
        self._listen(session)
        await session.connect(url=url)
        self.session = session

    def _listen(self, session: RealtimeSession[None]) -> None:
        pass

    def _ignore(self, _: object) -> None:
        pass

    def _on_item(self, _: object) -> None:
        self.sink.on_item()

    def _on_turn(self, _: object) -> None:
        self.sink.on_turn()

    def _on_error(self, event: Error) -> None:
        self.sink.on_error(event.error)

    def start(self) -> None:
        self.session.send_message("go")

    def send_audio(self, pcm: bytes) -> None:
        self.session.send_audio(pcm)

    async def close(self) -> None:
        await self.session.close()


class Stapes(StapesQuiet):
    """Audio is delivered to a callback in Python."""

    hands_out_audio = True

    def _listen(self, session: RealtimeSession[None]) -> None:
        session.on("audio", self._on_audio)

    def _on_audio(self, event: Audio) -> None:
        self.sink.on_audio(event.data)


class StapesQuietMicrophone(StapesQuiet):
    """Nobody is subscribed to audio, and the microphone is fed in Rust."""

    feeds_itself = True

    def start(self) -> None:
        super().start()
        self.speaking = self.session.stream_audio(_recording(self.chunks))

    async def has_spoken(self) -> None:
        await self.speaking


class StapesMicrophone(StapesQuietMicrophone, Stapes):
    """Audio is delivered to a callback in Python, and the microphone is fed in Rust."""
