"""Sessions and servers for tests that run event loops themselves."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from typing import TYPE_CHECKING, Any

from calling import KEY, SECONDS
from rude import rude

from stapes import AgentEnd, RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.devserver import DevServer, Options

if TYPE_CHECKING:
    from collections.abc import Sequence

DELTA = json.dumps(
    {
        "type": "response.output_audio.delta",
        "response_id": "r",
        "item_id": "i",
        "content_index": 0,
        "delta": "A" * 6_400,
    }
)
SPEECH = ['{"type":"response.created","response":{"id":"r"}}', *[DELTA] * 100]
"""An answer of a hundred chunks of 4,800 bytes."""


def session_to(url: str, **options: Any) -> Any:
    return RealtimeSession(
        RealtimeAgent(name="front"),
        api_key=KEY,
        transport=WebSocketTransport(url=url),
        **options,
    )


class Elsewhere:
    """A development server in a thread of its own, with a loop of its own."""

    def __init__(self, mind: Any, **options: Any) -> None:
        self._ready, self._stop = threading.Event(), threading.Event()
        self._mind, self._options = mind, Options(**{"pace": None, **options})
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        async with DevServer(self._mind, options=self._options) as self.server:
            self.url = self.server.url
            self.loop = asyncio.get_running_loop()
            self._ready.set()
            await asyncio.to_thread(self._stop.wait)

    def __enter__(self) -> Elsewhere:
        self._thread.start()
        assert self._ready.wait(SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class RudeElsewhere:
    """A server, on a loop of its own in a thread of its own, that sends these frames at once."""

    def __init__(self, frames: Sequence[str]) -> None:
        self._frames = frames
        self._ready, self._stop, self._go, self.said = (threading.Event() for _ in range(4))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        release = asyncio.Event()

        async def behave(socket: Any) -> None:
            await release.wait()
            for frame in self._frames:
                await socket.send(frame)
            self.said.set()
            await socket.wait_closed()

        async with rude(behave) as self.url:
            self._ready.set()
            await asyncio.to_thread(self._go.wait)
            release.set()
            await asyncio.to_thread(self._stop.wait)

    def go(self) -> None:
        self._go.set()

    def __enter__(self) -> RudeElsewhere:
        self._thread.start()
        assert self._ready.wait(SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._go.set()
        self._stop.set()
        self._thread.join()


async def say_hello(url: str) -> str:
    async with asyncio.timeout(SECONDS), session_to(url) as session:
        session.send_message("hi")
        return (await anext(session.events(AgentEnd))).output


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
