"""Nothing but the ticking: what all others are measured less."""

from __future__ import annotations

from benches.load.clients.client import Client


class Null(Client):
    """Is done when its microphone is."""

    hands_out_audio = False

    async def open(self, url: str) -> None:
        pass

    def start(self) -> None:
        self.sink.on_turn()

    def send_audio(self, pcm: bytes) -> None:
        pass

    async def close(self) -> None:
        pass
