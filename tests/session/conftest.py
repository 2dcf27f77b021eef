from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from calling import KEY, Called
from elsewhere import SERVER_THREAD
from interpreter import Interpreter

from stapes import RealtimeAgent, RealtimeSession, WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AsyncExitStack

    from stapes.devserver import DevServer, Mind


@pytest.fixture(autouse=True)
def _no_secret_and_no_complaint(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Fail a test that logs or prints the key, or in which the event loop complains."""
    with caplog.at_level(logging.DEBUG):
        yield
    # The `websockets` library runs rude servers here; what they log is not ours.
    records = [r for r in caplog.get_records("call") if not r.name.startswith("websockets")]
    formatter = logging.Formatter("%(name)s %(message)s")
    lines = [formatter.format(record) for record in records]
    assert not [line for line in lines if KEY in line]
    assert not [
        line
        for line, record in zip(lines, records, strict=True)
        if record.name == "asyncio"
        and record.levelno >= logging.WARNING
        # The loop of a server elsewhere complains where it writes to a session that is gone.
        and record.threadName != SERVER_THREAD
    ]
    printed = capfd.readouterr()
    assert KEY not in printed.out + printed.err
    assert "panicked" not in printed.err


@pytest.fixture
def call(
    run: Callable[..., Awaitable[DevServer]], stack: AsyncExitStack
) -> Callable[..., Awaitable[Called]]:
    """Start a development server and connect a session to it; both end with the test."""

    async def start(
        mind: Mind | None = None,
        agent: Any = None,
        *,
        server: dict[str, Any] | None = None,
        before: Callable[[RealtimeSession[Any]], object] | None = None,
        **options: Any,
    ) -> Called:
        running = await run(mind, **(server or {}))
        agent = agent or RealtimeAgent(name="front", instructions="Answer.")
        transport = WebSocketTransport(url=running.url)
        options.setdefault("api_key", KEY)
        # What a loss does by itself is tested here; what follows it, with the survival of sessions.
        options.setdefault("reconnect", None)
        session = RealtimeSession(agent, transport=transport, **options)
        called = Called(session, running)
        if before is not None:
            before(session)
        await stack.enter_async_context(session)
        called.call = await running.next_call()
        return called

    return start


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    interpreter = Interpreter(tmp_path_factory.mktemp("scripts"))
    yield interpreter
    interpreter.close()
