"""What the pages' code talks to."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from typing import TYPE_CHECKING

import pytest

from stapes.devserver import DevServer, Options
from stapes.testing.written_mind import default_mind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.context import ForkServerContext


@pytest.fixture(scope="session")
def model() -> Iterator[str]:
    """The URL of a development server, which `OPENAI_BASE_URL` takes."""
    loop = asyncio.new_event_loop()
    started: list[str] = []
    is_up = threading.Event()
    over = asyncio.Event()

    async def serve() -> None:
        async with DevServer(default_mind(), options=Options(pace=None)) as server:
            started.append(server.url)
            is_up.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert is_up.wait(20), "the development server did not start"
    yield started[0].replace("ws://", "http://").removesuffix("/realtime")
    loop.call_soon_threadsafe(over.set)
    thread.join(10)


@pytest.fixture(scope="session")
def forks() -> ForkServerContext:
    """Processes that have imported what the pages import, and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    ours = ["session", "transcription", "testing", "calls", "audio", "providers"]
    others = ["fastapi", "numpy", "pytest", "pytest_asyncio", "uvicorn", "websockets"]
    more = ["uvicorn.protocols.websockets.auto", "websockets.asyncio.client"]
    context.set_forkserver_preload([*(f"stapes.{name}" for name in ours), *others, *more])
    return context
