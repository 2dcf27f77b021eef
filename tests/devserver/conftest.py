from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from wire_client import WireClient, dial

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AsyncExitStack

    from stapes.devserver import DevServer, Mind


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test in which the web server or the event loop has something to complain about."""
    yield
    complaints = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.name.startswith(("uvicorn", "asyncio"))
        and record.levelno >= logging.WARNING
        # aiortc sends in tasks that it does not wait for, and that fail where the call has ended.
        and "RTCSctpTransport._data_channel_flush" not in record.getMessage()
    ]
    assert not complaints


@pytest.fixture
def call(
    run: Callable[..., Awaitable[DevServer]], stack: AsyncExitStack
) -> Callable[..., Awaitable[WireClient]]:
    """Start a server and call it; the call ends with the test."""

    async def start(mind: Mind | None = None, voice: Any = None, **options: Any) -> WireClient:
        client = await dial(await run(mind, voice, **options))
        stack.push_async_callback(client.socket.close)
        return client

    return start
