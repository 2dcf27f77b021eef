"""Sessions and servers for tests that run event loops themselves."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

from calling import KEY, SECONDS

from stapes import AgentEnd, RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.devserver import DevServer, Options


def session_to(url: str) -> Any:
    return RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=WebSocketTransport(url=url)
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


async def say_hello(url: str) -> str:
    async with asyncio.timeout(SECONDS), session_to(url) as session:
        session.send_message("hi")
        return (await anext(session.events(AgentEnd))).output


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))
