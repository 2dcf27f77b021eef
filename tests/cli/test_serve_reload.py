"""`stapes serve --reload`: what changes is served anew, and a broken file is waited for."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from page_caller import PageCaller
from serving import Served

if TYPE_CHECKING:
    from pathlib import Path

AGENT = """\
from names import NAME
from stapes import RealtimeAgent
agent = RealtimeAgent(name=NAME)
"""


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    (tmp_path / "names.py").write_text("NAME = 'First'\n")
    path = tmp_path / "desk.py"
    path.write_text(AGENT)
    return path


def write(path: Path, text: str) -> None:
    """Change a file, as an editor does."""
    path.write_text(text)


async def test_a_change_beside_the_agent_is_served_and_drops_calls(agent: Path) -> None:
    async with Served(agent, "--port", 0, "--reload") as server:
        await server.ready()
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.agents == ["First"])
            url = server.url
            write(agent.with_name("names.py"), "NAME = 'Second one'\n")
            await caller.until(lambda: caller.close_code is not None)
        await server.ready("Talk to Second one")
        assert server.url == url
        assert "names.py has changed" in server.text
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.agents == ["Second one"])
        server.signal(signal.SIGTERM)
        assert await server.exit_code() == 0


async def test_a_broken_file_is_shown_and_waited_for(agent: Path) -> None:
    async with Served(agent, "--port", 0, "--reload") as server:
        await server.ready()
        write(agent, "def broken(:\n")
        await server.until(lambda: "SyntaxError" in server.text)
        await server.until(lambda: "waiting for a change" in server.text)
        write(agent, AGENT.replace("NAME)", "'Mended')"))
        await server.ready("Talk to Mended")
        server.signal(signal.SIGINT)
        assert await server.exit_code() == 0
        assert "Traceback" not in server.text


async def test_one_that_is_broken_from_the_start_is_waited_for(agent: Path) -> None:
    write(agent, "raise RuntimeError('not yet')\n")
    async with Served(agent, "--port", 0, "--reload") as server:
        await server.until(lambda: "waiting for a change" in server.text)
        assert "not yet" in server.text
        write(agent, AGENT)
        await server.ready("Talk to First")


async def test_the_child_ends_with_its_parent(agent: Path) -> None:
    async with Served(agent, "--port", 0, "--reload") as server:
        await server.ready()
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.agents)
            server.signal(signal.SIGTERM)
            await server.until(lambda: server.process.returncode is None)
        assert await server.exit_code() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(server.process.pid, 0)
