"""`websockets`, json and base64, as one writes it first. No session, no history."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode

from websockets.asyncio.client import connect

from benches.load.clients.client import Client


class WebsocketsJson(Client):
    """A task that reads."""

    sends_at_once = False

    async def open(self, url: str) -> None:
        self.ws = await connect(url, max_size=8 << 20)
        self.task = asyncio.create_task(self._consume())

    async def _consume(self) -> None:
        sink = self.sink
        async for text in self.ws:
            event = json.loads(text)
            match event["type"]:
                case "response.output_audio.delta":
                    sink.on_audio(b64decode(event["delta"]))
                case "conversation.item.added":
                    sink.on_item()
                case "response.done":
                    sink.on_turn()
                case "error":
                    sink.on_error(event)

    async def start(self) -> None:
        await self.ws.send('{"type":"response.create"}')

    async def send_audio(self, pcm: bytes) -> None:
        sound = b64encode(pcm).decode()
        await self.ws.send(json.dumps({"type": "input_audio_buffer.append", "audio": sound}))

    async def close(self) -> None:
        await self.ws.close()
        await self.task
