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
    ConnectionChanged,
    ConnectTimeoutError,
    Error,
    HandshakeError,
    NotConnectedError,
    RealtimeAgent,
    RealtimeSession,
    TranscriptionFailed,
    TransportEvent,
    WebSocketTransport,
)
from stapes.devserver import Options
from stapes.testing import ScriptedServer
from stapes.transport import TransportRequest

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


NO_KEYS = {
    "empty": "",
    "blank": "  ",
    "a function to empty": lambda: "",
    "a function to None": lambda: None,
}


@pytest.mark.parametrize("nothing", NO_KEYS.values(), ids=NO_KEYS)
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


@pytest.mark.parametrize("where", ["url", "name", "value"])
async def test_half_a_surrogate_pair_is_refused_without_its_surroundings(where):
    broken = f"{KEY}\ud800"
    headers = {"value": {"X-Key": broken}, "name": {broken: "x"}}.get(where, {})
    url = f"ws://127.0.0.1:1/?k={broken}" if where == "url" else "ws://127.0.0.1:1"
    words = await refusal(session_to(url, headers=headers), ConnectError)
    assert "half a surrogate pair" in words


async def test_headers_of_the_same_name_are_one_whatever_their_case():
    async with ScriptedServer() as server:
        session = session_to(
            server.url, headers={"AUTHORIZATION": "own", "x-one": "1", "X-Two": "2"}
        )
        await session.connect(headers={"X-One": "one", "x-two": None})
        await session.close()
    shown = {
        name: server.handshakes[0].headers.get(name) for name in ("authorization", "x-one", "x-two")
    }
    assert shown == {"authorization": "own", "x-one": "one", "x-two": None}


@pytest.mark.parametrize("headers", [{"authorization": None}, {"Authorization": "Basic x"}])
async def test_a_header_that_says_who_asks_needs_no_key(headers, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with ScriptedServer() as server:
        session = session_to(server.url, api_key=None, headers=headers)
        await session.connect()
        await session.close()
    assert server.handshakes[0].authorization == headers.get("Authorization")


async def test_the_credentials_of_a_url_are_used_and_not_the_environments_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with ScriptedServer() as server:
        session = session_to(server.url.replace("://", "://ann:pw@"), api_key=None)
        await session.connect()
        await session.close()
    assert server.handshakes[0].authorization == "Basic YW5uOnB3"


async def test_a_header_that_is_no_text_is_named():
    with pytest.raises(TypeError, match="'X-One' is of type int"):
        await session_to("ws://127.0.0.1:1", headers={"X-One": 1}).connect()


def test_a_request_shows_neither_credentials_nor_keys_of_its_url():
    request = TransportRequest(f"wss://ann:{KEY}@host/v1?api-key={KEY}&model=m", {"X": KEY})
    assert repr(request) == "TransportRequest('wss://***@host/v1?api-key=***&model=m')"


@pytest.mark.parametrize("key", ["any", "null", "delta"])
async def test_a_short_key_changes_nothing_that_the_server_sends(key):
    event = {"type": "response.output_text.delta", "delta": "the company", "any": [None, "null"]}
    async with ScriptedServer() as server:
        session = session_to(server.url, api_key=key)
        raw = Seen(session, "transport_event")
        await session.connect()
        await server.send(event)
        await server.send({"type": "error", "error": {"message": "any company, null, delta"}})
        await raw.until(TransportEvent, lambda it: it.event["type"] == "error")
        assert event in [it.event for it in raw.events]
        await session.close()


async def test_every_secret_that_a_server_quotes_is_masked_in_texts_and_nowhere_else(caplog):
    secrets = ["proxy-pa55word", "header-0123456789", "ticket-0123456789", KEY]
    quoted = " ".join(secrets)
    async with ScriptedServer() as server:
        transport = WebSocketTransport(
            url=f"{server.url}?ticket={secrets[2]}",
            headers={"api-key": secrets[1]},
            proxy=None,
        )
        session = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, transport=transport)
        seen, raw = Seen(session), Seen(session, "transport_event")
        await session.connect()
        error = {"type": "error", "error": {"message": quoted, "code": KEY}}
        await server.send(error)
        failed = {
            "type": "conversation.item.input_audio_transcription.failed",
            "item_id": "i",
            "content_index": 0,
            "error": {"message": quoted},
        }
        await server.send(failed)
        await seen.until(TranscriptionFailed)
        await server.close(4000, quoted)
        over = await seen.until(ConnectionChanged, lambda change: change.status == "disconnected")
    told = [seen.errors[0], seen.errors[0].event, seen.of(TranscriptionFailed)[0], over, over.error]
    # The `websockets` library logs what it reads.
    logged = [r.getMessage() for r in caplog.records if not r.name.startswith("websockets")]
    shown = f"{told} {told[0]} {logged}"
    for secret in secrets[1:]:
        assert secret not in shown
    assert str(seen.errors[0]) == "proxy-pa55word *** *** ***"
    assert [it.event for it in raw.of(TransportEvent)][-2:] == [error, failed]


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
        async with session_to(url, ca_file=ca_file, first_event_timeout=0) as session:
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


@pytest.mark.parametrize(("wait", "seconds"), [("7", 7.0), ("0.5", 0.5), (None, None)])
async def test_the_time_to_wait_is_a_number_of_the_exception_and_of_the_event(wait, seconds):
    async def refuse(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        header = "" if wait is None else f"Retry-After: {wait}\r\n"
        writer.write(f"HTTP/1.1 429 Too Many\r\n{header}Content-Length: 0\r\n\r\n".encode())
        await writer.drain()

    async with raw(refuse) as url:
        session = session_to(url)
        seen = Seen(session)
        with pytest.raises(HandshakeError) as refused:
            await session.connect()
        assert (refused.value.retry_after, refused.value.retryable) == (seconds, True)
        over = await seen.until(ConnectionChanged, lambda change: change.status == "disconnected")
        assert (over.retry_after, over.retryable) == (seconds, True)
        assert over.error is refused.value


@pytest.mark.parametrize("how", ["cancelled", "closed", "dropped"])
async def test_an_abandoned_connect_lets_go_of_its_socket_at_once(how):
    gone = asyncio.Event()
    asked = asyncio.Event()

    async def listen(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        assert await reader.read() == b""
        gone.set()

    async with raw(listen) as url, asyncio.timeout(SECONDS):
        session = session_to(url, connect_timeout=60.0)
        connecting = asyncio.ensure_future(session.connect())
        await asked.wait()
        if how == "closed":
            await session.close()
        else:
            connecting.cancel()
        if how == "dropped":
            del session
        with pytest.raises((asyncio.CancelledError, NotConnectedError)):
            await connecting
        del connecting
        await gone.wait()


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
