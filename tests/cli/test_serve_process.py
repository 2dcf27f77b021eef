"""`stapes serve` as a process: with nothing installed but the base, and its end by signals."""

from __future__ import annotations

import asyncio
import re
import signal
import urllib.request
from typing import TYPE_CHECKING

import pytest
from page_caller import PageCaller
from serving import BASE_ONLY, Served, extras
from simulated import voice
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from stapes.cli.builtin import texts

if TYPE_CHECKING:
    from pathlib import Path

AGENT = """\
from stapes import RealtimeAgent
agent = RealtimeAgent(name="Desk")
"""
QUESTION = voice(0.6, 24_000)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "desk.py"
    path.write_text(AGENT, "utf-8")
    return path


@pytest.fixture(scope="module")
def hidden() -> str:
    """What is not there after `pip install stapes`."""
    return ",".join(extras())


def served(agent: Path, *options: object, hidden: str) -> Served:
    """A server on a free port, as if only the base were installed."""
    return Served(agent, "--port", 0, *options, code=BASE_ONLY, HIDDEN_MODULES=hidden)


async def page(url: str) -> tuple[str, str]:
    """Return a page and its content type."""

    def read() -> tuple[str, str]:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode(), answer.headers["content-type"]

    return await asyncio.to_thread(read)


async def no_call_is_taken(server: Served) -> None:
    """Wait until another call is refused: the signal may not have been seen yet."""
    async with asyncio.timeout(5):
        while True:
            try:
                async with connect(server.talk, open_timeout=2):
                    await asyncio.sleep(0.01)
            except (OSError, WebSocketException):
                return


def test_the_base_install_lacks_what_the_extras_bring(hidden: str) -> None:
    modules = set(hidden.split(","))
    assert {"aiortc", "yaml", "pocketsphinx", "hibari", "matplotlib"} <= modules
    assert not {"numpy", "agents", "uvicorn", "typer", "websockets"} & modules


async def test_with_nothing_installed_a_page_is_greeted_and_standing_calls_outlive_sigterm(
    agent: Path, hidden: str
) -> None:
    async with served(agent, hidden=hidden) as server:
        await server.ready()
        html, content_type = await page(server.url)
        assert "text/html" in content_type
        assert "<script" in html
        assert server.lines[0] == f"Talk to Desk: {server.url}"
        assert "built in" in server.text
        assert "OPENAI_API_KEY" in server.text

        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: texts.GREETING in caller.said("assistant"))
            assert len(caller.heard) > 3 * 48_000
            server.signal(signal.SIGTERM)
            await no_call_is_taken(server)
            await caller.speak(QUESTION)
            await caller.until(lambda: texts.INSTALL in caller.said("assistant"))
            assert not server.is_over
        assert await server.exit_code() == 0
    line = server.lines[-1]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| browser ", line)
    assert "ended by: caller" in line
    assert re.search(r"tokens: [1-9]", line)
    assert "Traceback" not in server.text


async def test_a_second_ctrl_c_ends_standing_calls_at_once(agent: Path, hidden: str) -> None:
    async with served(agent, "--drain", 600, hidden=hidden) as server:
        await server.ready()
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.heard)
            server.signal(signal.SIGINT)
            await no_call_is_taken(server)
            server.signal(signal.SIGINT)
            assert await server.exit_code() == 0
            await caller.until(lambda: caller.close_code is not None)
    assert "ended by: us" in server.text
    assert "Traceback" not in server.text


async def test_standing_calls_end_at_the_deadline(agent: Path, hidden: str) -> None:
    async with served(agent, "--drain", 0.3, hidden=hidden) as server:
        await server.ready()
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.heard)
            server.signal(signal.SIGTERM)
            assert await server.exit_code() == 0
    assert "ended by: us" in server.text
