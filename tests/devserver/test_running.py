from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys

import pytest
from websockets.sync.client import connect

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


def test_it_shares_no_code_with_the_client():
    program = (
        "import sys, stapes.devserver; light = 'starlette' in sys.modules\n"
        "import stapes.devserver.running\n"
        "others = [m for m in sys.modules if m.startswith('stapes.')"
        " and not m.startswith('stapes.devserver')]\n"
        "print(light, others)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False []"
