"""The tests and examples of the SDK, with our model; the tests of its oldest version as well."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from websockets.asyncio.client import connect

from stapes.devserver import Call, ScriptedMind, ToneVoice, Turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.far

ROOT = Path(__file__).parents[2]
OLDEST = "0.22.0"


def _fetched(cache: Path, wanted: str) -> Path:
    """The source distribution of that version, unpacked, with the version installed beside it."""
    folder = cache / "openai-agents"
    source = folder / f"openai_agents-{wanted}"
    installed = folder / f"installed-{wanted}"
    pip = [sys.executable, "-m", "pip"]
    try:
        if not source.is_dir():
            download = [*pip, "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
            fetch = [*download, "--dest", str(folder), f"openai-agents=={wanted}"]
            subprocess.run(fetch, check=True, timeout=300, capture_output=True)
            with tarfile.open(folder / f"openai_agents-{wanted}.tar.gz") as archive:
                archive.extractall(folder, filter="data")
        if not installed.is_dir():
            install = [*pip, "install", "--quiet", "--no-compile", "--no-deps"]
            what = ["--target", str(installed), f"openai-agents=={wanted}"]
            subprocess.run([*install, *what], check=True, timeout=300)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"the tests of openai-agents {wanted} cannot be fetched: {error}")
    return source


@pytest.mark.parametrize("wanted", [OLDEST, version("openai-agents")])
def test_the_sdks_own_tests_hold_with_our_model(cache, wanted):
    source = _fetched(cache, wanted)
    environment = {
        **os.environ,
        "STAPES_AGENTS_SDK_TESTS": str(source),
        "PYTHONPATH": str(source.parent / f"installed-{wanted}"),
    }
    script = [sys.executable, str(ROOT / "scripts" / "run_sdk_tests.py")]
    run = subprocess.run(
        script, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stdout[-8_000:] + run.stderr
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None, run.stdout
    assert int(passed[1]) >= 40


# Their examples

WEATHER = ScriptedMind(
    [
        Turn(when="weather", call=Call("get_weather", {"city": "Oslo"})),
        Turn(after="get_weather", say="{output}"),
    ],
    hears=["what is the weather"],
    otherwise="Pardon?",
)
SECONDS = 60.0


@asynccontextmanager
async def _example(
    cache: Path, script: str, url: str, port: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """An example that runs, interrupted at the end as by a user."""
    wanted = version("openai-agents")
    path = _fetched(cache, wanted) / "examples" / "realtime" / script
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "tests.far.sdk_example", str(path), url, str(port)),
        cwd=ROOT,
        env={**os.environ, "OPENAI_API_KEY": "any"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), SECONDS)


async def test_the_sdks_command_line_example_holds_a_conversation(cache, run):
    server = await run(WEATHER, pace=2.0)
    lines: list[str] = []
    async with _example(cache, "cli/demo.py", server.url, 0) as process, asyncio.timeout(SECONDS):
        assert process.stdout is not None
        while sum(line.startswith("Agent ended") for line in lines) < 2:
            line = (await process.stdout.readline()).decode()
            assert line, "".join(lines)
            lines.append(line)
    assert "Tool ended: get_weather" in "".join(lines)
    assert "Audio ended\n" in lines
    assert not [line for line in lines if line.startswith("Error")]


async def test_the_sdks_web_example_holds_a_conversation(cache, run):
    server = await run(WEATHER, pace=2.0)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    speech = (await ToneVoice().speak("What is the weather?", voice="caller", speed=1.0)).pcm
    sound = np.concatenate([np.frombuffer(speech, np.int16), np.zeros(24_000, np.int16)])
    seen: list[str] = []
    async with _example(cache, "app/server.py", server.url, port), asyncio.timeout(SECONDS):
        origin = f"http://127.0.0.1:{port}"
        while True:
            try:
                page = await connect(f"ws://127.0.0.1:{port}/ws/1", origin=origin)
                break
            except OSError:
                await asyncio.sleep(0.1)
        for start in range(0, len(sound), 4_800):
            piece = sound[start : start + 4_800].tolist()
            await page.send(json.dumps({"type": "audio", "data": piece}))
        while seen.count("agent_end") < 2:
            seen.append(json.loads(await page.recv())["type"])
        await page.close()
    assert {"tool_start", "tool_end", "audio", "history_added"} <= set(seen)
    assert "error" not in seen
