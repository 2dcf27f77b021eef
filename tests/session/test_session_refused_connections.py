"""Connections that cannot be made: each fails soon, by a type, with words that help."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

import pytest
from agents import UserError
from calling import KEY, SECONDS, Seen, eventually
from rude import certificates, raw, rude

from stapes import (
    AuthenticationError,
    CertificateError,
    ConnectError,
    ConnectTimeoutError,
    Error,
    HandshakeError,
    RealtimeAgent,
    RealtimeSession,
    WebSocketTransport,
)
from stapes.devserver import Options

if TYPE_CHECKING:
    from pathlib import Path


def session_to(url: str | None = None, *, api_key: Any = KEY, **options: Any) -> Any:
    transport = WebSocketTransport(url=url, **options)
    return RealtimeSession(RealtimeAgent(name="front"), api_key=api_key, transport=transport)


async def refusal(session: Any, kind: type[BaseException]) -> str:
    """Connect, and return the words of the refusal, which hold no key."""
    with pytest.raises(kind) as refused:
        await asyncio.wait_for(session.connect(), SECONDS)
    assert type(refused.value) is kind
    assert session.status == "disconnected"
    error: BaseException | None = refused.value
    while error is not None:
        assert KEY not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__
    return str(refused.value)


async def test_no_key_says_where_to_put_one():
    words = await refusal(session_to("ws://127.0.0.1:1", api_key=None), UserError)
    assert "Set OPENAI_API_KEY, or give api_key=" in words


@pytest.mark.parametrize("nothing", ["", "  ", lambda: "", lambda: None], ids=repr)
async def test_an_empty_key_is_no_key(nothing):
    words = await refusal(session_to("ws://127.0.0.1:1", api_key=nothing), UserError)
    assert "API key is not set" in words


async def test_the_environment_has_the_key(run, monkeypatch):
    server = await run(api_keys=frozenset({KEY}))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with session_to(server.url, api_key=None) as session:
        assert session.status == "connected"


async def a_key() -> str:
    await asyncio.sleep(0)
    return KEY


@pytest.mark.parametrize(
    "key", [KEY, lambda: KEY, a_key, f"{KEY}\n"], ids=["str", "sync", "async", "newline at the end"]
)
async def test_a_key_is_a_string_or_a_function(run, key):
    server = await run(api_keys=frozenset({KEY}))
    async with session_to(server.url, api_key=key) as session:
        assert session.status == "connected"


async def test_the_key_function_is_asked_for_each_connection(run):
    server = await run()
    keys = iter([KEY, KEY])
    session = session_to(server.url, api_key=lambda: next(keys))
    for _ in range(2):
        await session.connect()
        await session.close()
    assert next(keys, None) is None


async def test_a_key_function_that_raises_fails_connect_with_its_own_error():
    def key() -> str:
        raise LookupError("no vault")

    session = session_to("ws://127.0.0.1:1", api_key=key)
    assert await refusal(session, LookupError) == "no vault"
    assert await refusal(session, LookupError) == "no vault"


@pytest.mark.parametrize(
    "broken", [f"{KEY}\n{KEY}", f"{KEY}\0", f"{KEY}\r\nX: y", f"{KEY}é", f"{KEY}\ud800"], ids=ascii
)
async def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(broken):
    words = await refusal(session_to("ws://127.0.0.1:1", api_key=broken), UserError)
    assert "characters that a key cannot have" in words


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://localhost/v1/realtime", "ws://"),
        ("localhost:8080", "ws://"),
        ("wss://", "host"),
        ("ws://:80/", "host"),
        ("ws://localhost:99999/", "port"),
        ("ws://local host/", "URL"),
        ("", "ws://"),
        ("ws://\ud800", "URL"),
    ],
    ids=ascii,
)
async def test_a_wrong_url_is_refused_and_says_how_it_is_written(url, hint):
    assert hint in await refusal(session_to(url), ConnectError)


async def test_a_url_with_a_key_in_it_is_not_shown(run):
    server = await run()
    server.refuse_next(404)
    session = session_to(f"{server.url}?api-key={KEY}")
    words = await refusal(session, HandshakeError)
    assert "404" in words
    assert KEY not in f"{session!r} {session.options!r} {session.transport!r}"


async def test_a_host_that_does_not_exist():
    words = await refusal(session_to("ws://no-such-host.invalid/"), ConnectError)
    assert "no-such-host.invalid" in words


async def test_a_refused_connection_names_host_and_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = await refusal(session_to(f"ws://127.0.0.1:{port}/"), ConnectError)
    assert f"127.0.0.1:{port}" in words


async def test_a_key_that_the_server_refuses(run):
    server = await run(api_keys=frozenset({"sk-another-key"}))
    session = session_to(server.url)
    words = await refusal(session, AuthenticationError)
    assert "401" in words
    assert "check the API key" in words


async def test_a_refusal_that_quotes_the_key_is_shown_without_it(run):
    server = await run()
    server.refuse_next(401, {"error": {"message": f"Incorrect API key provided: {KEY}."}})
    words = await refusal(session_to(server.url), AuthenticationError)
    assert "Incorrect API key provided: ***" in words


async def test_a_key_that_is_refused_after_the_handshake_is_an_error_event_without_the_key():
    async def refuse(socket: Any) -> None:
        await socket.send(
            '{"type":"error","error":{"type":"invalid_request_error","code":"invalid_api_key",'
            f'"message":"Incorrect API key provided: {KEY}"}}}}'
        )
        await socket.close(3000, f"invalid key {KEY}")

    async with rude(refuse) as url:
        session = session_to(url)
        await session.connect()
        async with asyncio.timeout(SECONDS):
            events = [event async for event in session]
    error = next(event.error for event in events if isinstance(event, Error))
    assert error.code == "invalid_api_key"
    assert "3000" in events[-1].reason, events
    assert "Incorrect API key provided: ***" in str(error)
    assert KEY not in f"{events} {error!r} {error.event}"


@pytest.mark.parametrize(
    ("status", "hint"), [(404, "name of the model"), (429, "rate limit"), (503, "try again later")]
)
async def test_a_refused_handshake_says_what_to_do(run, status, hint):
    server = await run()
    server.refuse_next(status, {"error": {"message": "No, said the server", "code": "no_way"}})
    session = session_to(server.url)
    with pytest.raises(HandshakeError, match="No, said the server") as refused:
        await session.connect()
    assert refused.value.status == status
    assert hint in str(refused.value)
    # The next one is served.
    await session.connect()
    await session.close()


async def test_what_answers_is_no_websocket_server():
    async def talk(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await writer.drain()

    async with raw(talk) as url:
        assert "not a WebSocket server" in await refusal(session_to(url), HandshakeError)


async def test_a_server_that_hangs_up_during_the_handshake():
    async def leave(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with raw(leave) as url:
        assert "closed it without an answer" in await refusal(session_to(url), ConnectError)


async def test_a_handshake_that_is_never_answered(run):
    server = await run()
    server.hang_next()
    words = await refusal(session_to(server.url, connect_timeout=0.05), ConnectTimeoutError)
    assert "connect_timeout" in words


async def test_a_certificate_that_does_not_verify_and_the_file_that_makes_it(tmp_path: Path):
    context, ca_file = certificates(tmp_path)

    async def wait(socket: Any) -> None:
        await socket.wait_closed()

    async with rude(wait, ssl=context) as url:
        words = await refusal(session_to(url), CertificateError)
        assert "ca_file or SSL_CERT_FILE" in words
        async with session_to(url, ca_file=ca_file) as session:
            assert session.status == "connected"
        other = url.replace("localhost", "127.0.0.1")
        assert "localhost" in await refusal(session_to(other, ca_file=ca_file), CertificateError)


async def test_a_ca_file_that_is_none(tmp_path: Path):
    context, _ = certificates(tmp_path)
    path = tmp_path / "nothing.pem"
    async with rude(asyncio.sleep, ssl=context) as url:
        assert "nothing.pem" in await refusal(session_to(url, ca_file=path), ConnectError)
        path.write_text("no certificate")
        assert "nothing.pem" in await refusal(session_to(url, ca_file=path), ConnectError)


async def test_a_failed_connect_is_an_error_event_too(run):
    server = await run()
    server.refuse_next(503)
    session = session_to(server.url)
    seen = Seen(session)
    with pytest.raises(HandshakeError):
        await session.connect()
    error = await seen.until(Error)
    assert isinstance(error.error, HandshakeError)
    assert error.context == "connect"


async def test_no_repr_and_no_log_line_shows_the_key(run, caplog):
    server = await run(api_keys=frozenset({KEY}))
    transport = WebSocketTransport(
        url=server.url,
        headers={"X-Other": KEY},
        proxy=None,
    )
    session = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, transport=transport)
    async with session:
        shown = [
            session,
            session.transport,
            session.options,
            transport,
            Options(api_keys=frozenset({KEY})),
        ]
        assert KEY not in " ".join(f"{thing} {thing!r}" for thing in shown)
        session.transport.send_event({"type": "nonsense"})
        async with asyncio.timeout(SECONDS):
            await anext(session.events(Error))
    await eventually(lambda: session.status == "disconnected")
    assert logging.getLogger().level <= logging.DEBUG
    assert KEY not in caplog.text
