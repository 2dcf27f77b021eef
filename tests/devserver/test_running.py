from __future__ import annotations

import ast
import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as connect_here
from websockets.sync.client import connect

import stapes.devserver
from stapes.devserver import DevServer, Options, ScriptedMind, ToneVoice, serve

PROGRAM = """
from stapes.devserver import ScriptedMind, ToneVoice, serve
mind = ScriptedMind(otherwise="Hello.")
serve(mind, ToneVoice(), port=0, on_ready=lambda url: print(url, flush=True))
"""


def test_it_serves_until_it_is_interrupted_and_prints_nothing_of_its_own():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().strip()
        assert re.fullmatch(r"ws://127\.0\.0\.1:\d+/v1/realtime", url)
        with connect(url, additional_headers={"Authorization": "Bearer k"}) as client:
            assert json.loads(client.recv())["type"] == "session.created"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "", "")


def test_a_port_that_is_taken_is_an_error_of_the_system():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve(ScriptedMind(), ToneVoice(), Options(), port=taken.getsockname()[1])


async def test_a_server_has_an_address_only_while_it_runs():
    server = DevServer()
    with pytest.raises(RuntimeError, match="async with"):
        _ = server.url
    async with server, DevServer(host="::1") as other:
        assert server.http_url == server.url.replace("ws:", "http:").removesuffix("/realtime")
        assert re.fullmatch(r"ws://\[::1\]:\d+/v1/realtime", other.url)


async def test_what_went_over_a_call_is_a_record_of_each_direction():
    async with DevServer(ScriptedMind()) as server:
        headers = {"Authorization": "Bearer k"}
        async with connect_here(server.url, additional_headers=headers) as client:
            call = await server.next_call()
            assert isinstance(call.received, stapes.devserver.Record)
            assert isinstance(call.sent, stapes.devserver.Record)
            begun = await call.sent.wait_for("session.created")
            assert call.sent[0] == begun
            coming = asyncio.ensure_future(call.received.wait_for(lambda it: it.get("a") == 1))
            for text in ("no JSON", '{"type": "x"}', '{"type": "x", "a": 1}'):
                await client.send(text)
            assert await coming == {"type": "x", "a": 1}
            assert [event.get("frame") for event in call.received] == ["no JSON", None, None]
            assert call.received.types == ["None", "x", "x"]
            assert len(call.received.of("x")) == len(call.received) - 1 == 2
            with pytest.raises(TimeoutError, match=r"no y from the client in 0\.01 s; there were"):
                await call.received.wait_for("y", seconds=0.01)


async def test_a_server_without_a_mind_says_so_once_when_an_answer_is_asked_for(caplog):
    async with DevServer() as server:
        for _ in range(2):
            headers = {"Authorization": "Bearer k"}
            async with connect_here(server.url, additional_headers=headers) as client:
                await client.send('{"type": "response.create"}')
                while json.loads(await client.recv())["type"] != "response.done":
                    pass
    [told] = [record.getMessage() for record in caplog.records]
    assert "ScriptedMind(otherwise=" in told


def imported_names(source: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(source.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_it_shares_no_code_with_the_client():
    """`stapes.web` has files for browsers, and no code of a client."""
    sources = list(Path(stapes.devserver.__file__).parent.rglob("*.py"))
    assert len(sources) > 30
    found = {name for source in sources for name in imported_names(source)}
    ours = {name for name in found if name.split(".")[0] == "stapes"}
    assert {name for name in ours if not name.startswith("stapes.devserver")} == {"stapes.web"}


def test_minds_and_voices_need_no_web_server():
    program = "import sys, stapes.devserver; print('starlette' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


async def test_one_that_keeps_no_calls_serves_them_all_the_same():
    async with DevServer(records=False) as server:
        for _ in range(2):
            key = {"Authorization": "Bearer any"}
            async with connect_here(server.url, additional_headers=key) as one:
                assert json.loads(await one.recv())["type"] == "session.created"
        with pytest.raises(RuntimeError, match="records=False"):
            _ = server.calls
        with pytest.raises(RuntimeError, match="records=False"):
            await server.next_call()
