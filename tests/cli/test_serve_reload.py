"""`stapes serve --reload`: what changes is served anew, and a broken file is waited for."""

from __future__ import annotations

import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest
from page_caller import PageCaller
from serving import Served

from stapes.cli.serve.reloading import hold_port

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
        url = server.url
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.agents == ["First"])
            write(agent.with_name("names.py"), "NAME = 'Second one'\n")
            await caller.until(lambda: caller.close_code is not None)
        await server.ready("Talk to Second one")
        assert server.url == url
        assert "names.py has changed" in server.text
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.agents == ["Second one"])
            # The signal is for the child as well, which lets the call end.
            server.signal(signal.SIGTERM)
        assert await server.exit_code() == 0
        assert server.lines[-1].endswith("ended by: caller, the page hung up")


async def test_a_child_ends_with_its_parent_however_that_ends(agent: Path) -> None:
    async with Served(agent, "--port", 0, "--drain", 0, "--reload") as server:
        await server.ready()
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.agents)
            server.signal(signal.SIGKILL)
            # The output ends when nobody has it open any more.
            await server.exit_code()
            await caller.until(lambda: caller.close_code is not None)
    assert "ended by: us" in server.text


async def test_a_broken_file_is_shown_and_waited_for(agent: Path) -> None:
    write(agent, "def broken(:\n")
    async with Served(agent, "--port", 0, "--reload") as server:
        await server.until(lambda: "waiting for a change" in server.text)
        assert "SyntaxError" in server.text
        write(agent, AGENT)
        await server.ready("Talk to First")
        write(agent, "raise RuntimeError('not any more')\n")
        await server.until(lambda: server.text.count("waiting for a change") == 2)
        assert "not any more" in server.text
        server.signal(signal.SIGINT)
        assert await server.exit_code() == 0
        assert "Traceback" not in server.text


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a port is found, not held")
def test_the_port_of_all_children_is_kept_while_there_is_none(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with hold_port(host) as port:
        for _child in range(2):
            socket.create_server((host, port), family=family).close()
            in_use = pytest.raises(OSError, match="Address already in use")
            with socket.socket(family) as other, in_use:
                other.bind((host, port))
