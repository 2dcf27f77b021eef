"""Requests that are too long, too slow, or made by a page that nobody let in."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from large_bodies import CASES
from raw_http import address, post
from wire_client import dial

from stapes import RealtimeAgent, RealtimeSession, WebRTCTransport
from stapes.devserver import DevServer, ScriptedMind, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable

SECONDS = 5.0
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
HALF = '{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[%s]}}'


async def answer_to(server: DevServer, pieces: Iterable[bytes | str]) -> str:
    """Send these bytes and return all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection(*address(server))
    try:
        async with asyncio.timeout(SECONDS):
            for piece in pieces:
                writer.write(piece.encode() if isinstance(piece, str) else piece)
                await writer.drain()
            return (await reader.read()).decode()
    finally:
        writer.close()


async def test_half_a_surrogate_pair_costs_its_character_alone(run):
    server = await run(ScriptedMind([Turn(when="hi", say="Hello.")]))
    client = await dial(server)
    await client.socket.send(HALF % r'{"type":"input_text","text":"hi \ud83d"}')
    done = await client.until("conversation.item.done")
    assert done["item"]["content"][0]["text"] == "hi \ufffd"
    await client.socket.send(HALF % r'{"type":"input_text","text":"hi \ud83d\ude00"}')
    done = await client.until("conversation.item.done")
    assert done["item"]["content"][0]["text"] == "hi 😀"
    await client.send("response.create")
    assert (await client.until("response.done"))["response"]["status"] == "completed"
    await client.socket.close()


async def test_half_a_surrogate_pair_of_the_minds_costs_its_character_alone(run):
    server = await run(ScriptedMind([Turn(when="hi", say="Hello \ud83d.")]))
    client = await dial(server)
    await client.say("hi", output_modalities=["text"])
    assert client.of("response.output_text.done")[0]["text"] == "Hello \ufffd."
    await client.socket.close()


async def test_a_frame_that_cannot_be_sent_is_logged_and_the_next_one_is_sent(run, caplog):
    server = await run()
    client = await dial(server)
    call = await server.next_call()
    with caplog.at_level(logging.ERROR, "stapes.devserver"):
        call.send_raw("\ud83d")
        error = await client.refused("response.cancel")
    assert error["code"] == "response_cancel_not_active"
    assert "a frame could not be sent" in caplog.text
    await client.socket.close()


@pytest.fixture(scope="module")
def large_bodies() -> dict[str, tuple[str, int]]:
    """The status that each large body is answered with, and the most memory that was taken."""
    script = Path(__file__).with_name("large_bodies.py")
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    measured: dict[str, tuple[str, int]] = json.loads(ended.stdout)
    return measured


@pytest.mark.parametrize("case", CASES)
def test_a_large_body_is_refused_before_it_is_read(large_bodies, case):
    status, most = large_bodies[case]
    assert status == "413"
    assert most < 8 * 1024 * 1024


async def test_a_client_that_leaves_in_mid_body_is_no_complaint(run, caplog):
    server = await run()
    paths = ("/v1/realtime/calls", "/v1/realtime/client_secrets")
    for kind in ("application/sdp", "multipart/form-data; boundary=b"):
        for path in paths:
            _, writer = await asyncio.open_connection(*address(server))
            writer.write(post(path, f"Content-Type: {kind}", length=100).encode() + b"half")
            await writer.drain()
            writer.transport.abort()
    client = await dial(server)
    await client.socket.close()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("length", [8_000, 8_200, 60_000])
@pytest.mark.parametrize("upgrade", ["Connection: close\r\n", UPGRADE], ids=["plain", "upgrade"])
async def test_a_request_target_of_any_length_is_answered(run, length, upgrade):
    server = await run()
    target = f"/v1/realtime?model={'m' * length}"
    head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n"
    answer = await answer_to(server, [head])
    # The key is missing, which is said where the request can be read.
    readable = "401" if length == 8_000 else "431"
    expected = readable if upgrade == UPGRADE else "405"
    assert answer.split()[1] == expected


async def test_a_request_with_many_headers_is_answered(run):
    server = await run()
    headers = "".join(f"X-{number}: x\r\n" for number in range(200))
    answer = await answer_to(
        server, [f"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{headers}\r\n"]
    )
    assert answer.split()[1] == "431"


@pytest.mark.parametrize(
    "half",
    [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: localhost\r\n",
        post("/v1/realtime/calls", "Content-Type: application/sdp", length=100) + "half",
        post("/v1/realtime/calls", "Content-Type: multipart/form-data; boundary=b", length=9) + "-",
    ],
    ids=["nothing", "line", "headers", "body", "form"],
)
async def test_a_request_that_does_not_arrive_is_given_up(run, half):
    server = await run(request_seconds=0.2)
    answer = await answer_to(server, [half])
    assert "408 Request Timeout" in answer or half.startswith(
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )


async def test_a_call_outlasts_the_time_for_its_request(run):
    server = await run(request_seconds=0.1)
    client = await dial(server)
    await asyncio.sleep(0.15)
    await client.refused("response.cancel")
    await client.socket.close()


def headers_of(origin: str | None, host: str | None) -> dict[str, str]:
    given = {"Authorization": "Bearer k", "Origin": origin, "Host": host}
    return {name: value for name, value in given.items() if value is not None}


async def asked(server: DevServer, headers: dict[str, str]) -> tuple[int, Any, str]:
    """Ask for a client secret: the status, the answer, and its head."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST /v1/realtime/client_secrets HTTP/1.1\r\n{lines}Connection: close\r\n"
    answer = await answer_to(server, [f"{head}Content-Length: 0\r\n\r\n"])
    head, _, body = answer.partition("\r\n\r\n")
    return int(answer.split()[1]), json.loads(body), head


async def shaken(server: DevServer, headers: dict[str, str]) -> int:
    """Open a WebSocket: the status of the handshake."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    reader, writer = await asyncio.open_connection(*address(server))
    writer.write(f"GET /v1/realtime HTTP/1.1\r\n{lines}{UPGRADE}\r\n".encode())
    async with asyncio.timeout(SECONDS):
        status = int((await reader.readline()).split()[1])
    writer.transport.abort()
    return status


STRANGE = [
    ("https://evil.example", "localhost", "origin_not_allowed"),
    ("null", "localhost", "origin_not_allowed"),
    ("http://localhost.evil.example", "localhost", "origin_not_allowed"),
    ("http://127.0.0.1.evil.example", "127.0.0.1", "origin_not_allowed"),
    ("http://evil.example", "evil.example", "host_not_allowed"),
    (None, "evil.example:8765", "host_not_allowed"),
]
FRIENDLY = [
    (None, "localhost"),
    (None, "127.0.0.1:8765"),
    (None, "[::1]:8765"),
    (None, "192.168.1.5:8765"),
    ("http://localhost:3000", "localhost:8765"),
    ("https://app.localhost", "127.0.0.1"),
    ("http://[::1]:5173", "localhost"),
    ("http://192.168.1.5:8765", "192.168.1.5:8765"),
]


@pytest.mark.parametrize(("origin", "host", "code"), STRANGE)
async def test_a_strange_page_is_refused(run, origin, host, code):
    server = await run()
    status, answer, head = await asked(server, headers_of(origin, host))
    assert (status, answer["error"]["code"]) == (403, code)
    assert "access-control-allow-origin" not in head.lower()
    assert await shaken(server, headers_of(origin, host)) == 403
    assert server.calls == []


@pytest.mark.parametrize(("origin", "host"), FRIENDLY)
async def test_pages_of_this_machine_and_other_clients_are_served(run, origin, host):
    server = await run()
    status, answer, head = await asked(server, headers_of(origin, host))
    assert status == 200
    assert answer["value"].startswith("ek_")
    if origin is not None and "192" not in origin:
        assert f"access-control-allow-origin: {origin}" in head.lower()
    assert await shaken(server, headers_of(origin, host)) == 101


async def test_origins_and_hosts_can_be_allowed(run):
    server = await run(origins=frozenset({"https://app.test"}), hosts=frozenset({"devserver.test"}))
    headers = headers_of("https://app.test", "devserver.test:8765")
    status, _, head = await asked(server, headers)
    assert status == 200
    assert "access-control-allow-origin: https://app.test" in head.lower()
    assert (await asked(server, headers_of("https://other.test", "localhost")))[0] == 403
    everybody = await run(origins=frozenset({"*"}))
    assert (await asked(everybody, headers_of("https://other.test", "localhost")))[0] == 200


async def test_the_base_of_the_api_takes_offers(run):
    server = await run()
    for path in ("/v1", "/v1/realtime", "/v1/realtime/calls"):
        answer = await answer_to(
            server, [post(path, "Content-Type: application/sdp", length=3) + "v=0"]
        )
        assert "invalid_offer" in answer, path


async def test_a_call_over_webrtc_may_be_given_the_base_of_the_api(run):
    server = await run(ScriptedMind([Turn(say="Hello.")]))
    session = RealtimeSession(
        RealtimeAgent(name="a"), api_key="key", transport=WebRTCTransport(url=server.http_url)
    )
    async with session:
        assert session.status == "connected"
