"""Sessions and servers for tests that run event loops themselves."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from typing import TYPE_CHECKING, Any, Self

from calling import KEY, SECONDS
from rude import rude

from stapes import AgentEnd, RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.devserver import DevServer, Options

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

SERVER_THREAD = "server elsewhere"

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


def block_until(condition: Callable[[], object]) -> None:
    """Blocks the event loop, until something has happened elsewhere or a test would give up."""
    for _ in range(int(SECONDS * 100)):
        if condition():
            break
        threading.Event().wait(0.01)


def session_to(url: str, **options: Any) -> Any:
    return RealtimeSession(
        RealtimeAgent(name="front"),
        api_key=KEY,
        transport=WebSocketTransport(url=url),
        **options,
    )


class _InAThread:
    """Serves on a loop of its own, in a thread of its own."""

    def __init__(self) -> None:
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name=SERVER_THREAD
        )

    async def _serve(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Elsewhere(_InAThread):
    """A development server in a thread of its own, with a loop of its own."""

    def __init__(self, mind: Any, **options: Any) -> None:
        super().__init__()
        self._mind, self._options = mind, Options(**{"pace": None, **options})

    async def _serve(self) -> None:
        async with DevServer(self._mind, options=self._options) as self.server:
            self.url = self.server.url
            self.loop = asyncio.get_running_loop()
            self._ready.set()
            await asyncio.to_thread(self._stop.wait)


class RudeElsewhere(_InAThread):
    """A server, on a loop of its own in a thread of its own, that sends these frames at once.

    Args:
        frames: what it sends.
        closes: it closes the connection after them.
    """

    def __init__(self, frames: Sequence[str], *, closes: bool = False) -> None:
        super().__init__()
        self._frames = frames
        self._closes = closes
        self._go, self.said = threading.Event(), threading.Event()

    async def _serve(self) -> None:
        release = asyncio.Event()

        async def behave(socket: Any) -> None:
            await release.wait()
            for frame in self._frames:
                await socket.send(frame)
            self.said.set()
            if not self._closes:
                await socket.wait_closed()

        async with rude(behave) as self.url:
            self._ready.set()
            await asyncio.to_thread(self._go.wait)
            release.set()
            await asyncio.to_thread(self._stop.wait)

    def go(self) -> None:
        self._go.set()

    def __exit__(self, *failure: object) -> None:
        self._go.set()
        super().__exit__(*failure)


async def say_hello(url: str) -> str:
    async with asyncio.timeout(SECONDS), session_to(url) as session:
        session.send_message("hi")
        return (await anext(session.events(AgentEnd))).output


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def threads_of_loops(mind: Any, run: Callable[[Coroutine[Any, Any, str]], str]) -> tuple[int, int]:
    """Runs loops one after another, each with a session, which must leave no open file behind.

    Returns:
        The threads before and after.
    """
    with Elsewhere(mind) as there:
        run(say_hello(there.url))
        gc.collect()
        files, threads = open_files(), threading.active_count()
        for _ in range(10):
            run(say_hello(there.url))
        gc.collect()
        for _ in range(200):
            # The server's ends of the connections are closed a moment later.
            if open_files() <= files and threading.active_count() <= threads:
                break
            threading.Event().wait(0.01)
        assert open_files() <= files
        return threads, threading.active_count()
