from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# A session and what was seen of it are gathered as in the tests of sessions.
sys.path.append(str(Path(__file__).parents[1] / "session"))

from calling import KEY, Called

from stapes import RealtimeAgent, RealtimeSession, WebRTCTransport
from stapes.devserver import DevServer, Mind, Options

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack


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
