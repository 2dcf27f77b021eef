"""The full session of stapes."""

from __future__ import annotations

from typing import Any

from benches.load.clients.client import Client
from stapes import Audio, Error, RealtimeAgent, RealtimeSession


class StapesQuiet(Client):
    """Nobody is subscribed to audio."""

    hands_out_audio = False
    has_items = True

    async def open(self, url: str) -> None:
        agent = RealtimeAgent(name="load", instructions="Be brief.")
        session: RealtimeSession[None] = RealtimeSession(agent, api_key="unused")
        session.on("history_added", self._on_item)
        session.on("agent_end", self._on_turn)
        session.on("error", self._on_error)
        self._listen(session)
        await session.connect(url=url)
        self.session = session
        self.send_audio = session.send_audio  # type: ignore[method-assign]

    def _listen(self, session: RealtimeSession[None]) -> None:
        pass

    def _on_item(self, _: object) -> None:
        self.sink.on_item()

    def _on_turn(self, _: object) -> None:
        self.sink.on_turn()

    def _on_error(self, event: Error) -> None:
        self.sink.on_error(event.error)

    def start(self) -> None:
        self.session.send_message("go")

    def send_audio(self, pcm: bytes) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        await self.session.close()


class Stapes(StapesQuiet):
    """Audio is delivered to a callback in Python."""

    hands_out_audio = True

    def _listen(self, session: RealtimeSession[None]) -> None:
        session.on("audio", self._on_audio)

    def _on_audio(self, event: Audio) -> None:
        self.sink.on_audio(event.data)
