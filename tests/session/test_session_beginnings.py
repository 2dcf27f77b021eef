"""`connect()` is done when the server begins the session, and fails where it will not."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from calling import KEY, SECONDS, Seen
from rude import rude

from stapes import (
    AuthenticationError,
    ConnectError,
    ConnectionChanged,
    Error,
    HandshakeError,
    NotConnectedError,
    RealtimeAgent,
    RealtimeSession,
    RealtimeTransport,
    TransportEvent,
    WebSocketTransport,
)
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AGENT = RealtimeAgent(name="front")
REFUSAL = {
    "type": "error",
    "error": {
        "type": "invalid_request_error",
        "code": "invalid_api_key",
        "message": f"Incorrect API key provided: {KEY}.",
    },
}
WORDS = (
    "the server refused the session (invalid_api_key): Incorrect API key provided: ***; check the "
    "API key: it is missing, wrong or expired"
)


def session_to(server: ScriptedServer | str, *, patience: float = SECONDS) -> RealtimeSession[Any]:
    url = server if isinstance(server, str) else server.url
    transport = WebSocketTransport(url=url, first_event_timeout=patience)
    return RealtimeSession(AGENT, api_key=KEY, transport=transport)


@pytest.fixture
async def silent() -> AsyncIterator[ScriptedServer]:
    """A server that says nothing first."""
    async with ScriptedServer(first_event=None) as server:
        yield server


async def connected_to(server: ScriptedServer) -> None:
    """Wait until the handshake is done and the configuration has come."""
    await server.receive(1)


@pytest.mark.parametrize("kind", ["session.created", "session.updated", "conversation.created"])
async def test_connect_is_done_with_the_first_event_of_the_server(silent, kind):
    session = session_to(silent)
    connecting = asyncio.ensure_future(session.connect())
    await connected_to(silent)
    assert session.status == "connected"
    await asyncio.sleep(0)
    assert not connecting.done()
    await silent.send("no JSON at all")
    await silent.send({"type": kind, "session": {}})
    async with asyncio.timeout(SECONDS):
        await connecting
    await session.close()


async def test_an_error_in_its_place_fails_connect_in_the_servers_words(silent):
    session = session_to(silent)
    seen, raw = Seen(session), Seen(session, "transport_event")
    connecting = asyncio.ensure_future(session.connect())
    await connected_to(silent)
    await silent.send(REFUSAL)
    with pytest.raises(AuthenticationError) as refused:
        await asyncio.wait_for(connecting, SECONDS)
    assert str(refused.value) == WORDS
    assert (refused.value.code, refused.value.retryable) == ("invalid_api_key", False)
    assert session.status == "disconnected"
    # It is told once, by the exception itself.
    assert (await seen.until(Error)).error is refused.value
    assert seen.errors == [refused.value]
    over = seen.of(ConnectionChanged)[-1]
    assert (over.status, over.reason, over.error) == ("disconnected", WORDS, refused.value)
    # What the server sent stays as it came.
    assert raw.of(TransportEvent)[0].event == REFUSAL


@pytest.mark.parametrize(
    ("code", "reason", "kind", "retryable"),
    [
        (3000, f"bad key {KEY}", AuthenticationError, False),
        (4401, "", AuthenticationError, False),
        (1008, "no such model", HandshakeError, False),
        (1013, "try later", HandshakeError, True),
        (1000, "", HandshakeError, False),
    ],
)
async def test_a_close_in_its_place_fails_connect(silent, code, reason, kind, retryable):
    session = session_to(silent)
    seen = Seen(session)
    connecting = asyncio.ensure_future(session.connect())
    await connected_to(silent)
    await silent.close(code, reason)
    with pytest.raises(kind) as refused:
        await asyncio.wait_for(connecting, SECONDS)
    words = f"with code {code}" + (f": {reason}" if reason else "")
    assert words.replace(KEY, "***") in str(refused.value)
    assert "before it began the session" in str(refused.value)
    over = await seen.until(ConnectionChanged, lambda change: change.status == "disconnected")
    assert (over.code, over.error, over.retryable) == (code, refused.value, retryable)
    assert KEY not in f"{over!r} {refused.value!r}"


async def test_a_connection_that_breaks_before_it_fails_connect(silent):
    session = session_to(silent)
    connecting = asyncio.ensure_future(session.connect())
    await connected_to(silent)
    silent.terminate()
    with pytest.raises(ConnectError, match="while waiting for the server's first event") as lost:
        await asyncio.wait_for(connecting, SECONDS)
    assert lost.value.retryable


async def test_an_error_and_a_close_at_once_are_told_by_the_error():
    async def refuse(socket: Any) -> None:
        await socket.send(json.dumps(REFUSAL))
        await socket.close(3000, "bye")

    async with rude(refuse) as url:
        with pytest.raises(AuthenticationError) as refused:
            await asyncio.wait_for(session_to(url).connect(), SECONDS)
    assert str(refused.value) == WORDS


async def test_a_server_that_speaks_when_spoken_to_is_connected_to_and_told_of(silent, caplog):
    session = session_to(silent, patience=0.05)
    with caplog.at_level(logging.WARNING, "stapes"):
        await asyncio.wait_for(session.connect(), SECONDS)
    assert session.status == "connected"
    assert any("first_event_timeout" in record.message for record in caplog.records)
    # From then on an error is an event.
    seen = Seen(session)
    await silent.send(REFUSAL)
    assert (await seen.until(Error)).error.code == "invalid_api_key"
    await session.close()


async def test_with_no_patience_connect_is_done_with_the_handshake(silent, caplog):
    session = session_to(silent, patience=0)
    await asyncio.wait_for(session.connect(), SECONDS)
    assert not [record for record in caplog.records if "first_event_timeout" in record.message]
    await session.close()


async def test_a_session_that_is_closed_while_it_waits_says_so(silent):
    session = session_to(silent)
    errors = []
    session.on("error", errors.append)
    connecting = asyncio.ensure_future(session.connect())
    await connected_to(silent)
    await session.close()
    with pytest.raises(NotConnectedError, match="closed while it was connecting"):
        await asyncio.wait_for(connecting, SECONDS)
    await session.close()
    assert errors == []


async def test_after_a_refusal_the_session_can_connect(silent):
    session = session_to(silent)
    connecting = asyncio.ensure_future(session.connect())
    await connected_to(silent)
    await silent.send(REFUSAL)
    with pytest.raises(AuthenticationError):
        await connecting
    connecting = asyncio.ensure_future(session.connect())
    await silent.receive(2)
    await silent.send({"type": "session.updated", "session": {}})
    await asyncio.wait_for(connecting, SECONDS)
    await session.close()


class Relay(RealtimeTransport):
    """A transport of one's own that says what the test has it say."""

    def __init__(self, *first: dict[str, Any]) -> None:
        self.first = first
        self.closed: list[int] = []
        self.line: Any = None

    async def connect(self, request: Any, line: Any) -> None:
        self.line = line
        assert line.opened()
        for event in self.first:
            line.receive(json.dumps(event))

    def send(self, message: str) -> None:
        pass

    def close(self, code: int, reason: str) -> None:
        self.closed.append(code)


async def test_it_is_the_same_over_a_transport_of_ones_own():
    transport = Relay({"type": "session.updated", "session": {}})
    session = RealtimeSession(AGENT, api_key=KEY, transport=transport)
    await asyncio.wait_for(session.connect(), SECONDS)
    await session.close()
    transport = Relay(REFUSAL)
    session = RealtimeSession(AGENT, api_key=KEY, transport=transport)
    with pytest.raises(AuthenticationError, match=r"provided: \*\*\*;"):
        await asyncio.wait_for(session.connect(), SECONDS)
    assert transport.closed == [1000]
