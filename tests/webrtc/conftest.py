from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# A session and what was seen of it are gathered as in the tests of sessions.
sys.path.append(str(Path(__file__).parents[1] / "session"))

from calling import KEY, Called

from stapes import RealtimeAgent, RealtimeSession, WebRTCTransport
from stapes.devserver import DevServer, Mind, Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def call(stack: AsyncExitStack) -> Callable[..., Awaitable[Called]]:
    """Start a development server and call it; both end with the test."""

    async def start(
        mind: Mind | None = None,
        voice: Any = None,
        agent: Any = None,
        *,
        transport: dict[str, Any] | None = None,
        **options: Any,
    ) -> Called:
        running = await stack.enter_async_context(DevServer(mind, voice, Options()))
        session = RealtimeSession(
            agent or RealtimeAgent(name="front", instructions="Answer."),
            transport=WebRTCTransport(url=f"{running.http_url}/realtime/calls", **transport or {}),
            api_key=KEY,
            **options,
        )
        called = Called(session, running)
        await stack.enter_async_context(session)
        called.call = await running.next_call()
        return called

    return start
