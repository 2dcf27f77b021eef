"""What somebody sees who has just installed stapes, at each wrong turn."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from serving import BASE_ONLY, extras
from simulated import voice
from typer.testing import CliRunner

from stapes import (
    AgentEnd,
    AuthenticationError,
    CertificateError,
    ConnectError,
    ConnectTimeoutError,
    RealtimeSession,
    WebSocketTransport,
    __version__,
)
from stapes.cli.app import app
from stapes.cli.builtin import WrittenMind, texts
from stapes.cli.failing import why_unreachable
from stapes.cli.load_agent import load_agent
from stapes.testing import AgentCall, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

AGENT = '''\
from agents import function_tool
from stapes import RealtimeAgent


@function_tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"It is sunny in {city}."


agent = RealtimeAgent(name="Guide", instructions="Help travellers.", tools=[weather])
'''
QUESTION = Path(__file__).parents[2] / "examples/front_desk/questions/1-weather.wav"


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "guide.py"
    path.write_text(AGENT, "utf-8")
    return path


def told(*arguments: object) -> str:
    """What a command says that fails, in one line."""
    ended = CliRunner().invoke(app, list(map(str, arguments)))
    assert ended.exit_code == 1, ended.output
    assert "Traceback" not in ended.output
    return " ".join(ended.output.split())


@asynccontextmanager
async def base_install(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command under way, as if no extra were installed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENAI_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-u", "-c", BASE_ONLY, *map(str, arguments)),
        env={**environment, "HIDDEN_MODULES": ",".join(extras()), "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: asyncio.subprocess.Process, wanted: str) -> str:
    """The first line of a command's output in which a pattern is found."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        async for text in process.stdout:
            if re.search(wanted, text.decode()):
                return text.decode()
    raise AssertionError(f"nothing like {wanted!r} was said")


async def test_without_extras_the_development_server_answers_what_is_written(agent: Path) -> None:
    async with base_install("dev-server", "--port", 0) as server:
        said = await line(server, "Listening on")
        assert "written mind" in said
        assert "stapes[speech]" in await line(server, "no speech")
        transport = WebSocketTransport(url=said.split()[2])
        async with RealtimeSession(
            load_agent(str(agent)), api_key="any", transport=transport
        ) as session:
            session.send_message("What is the weather in Paris?")
            async with asyncio.timeout(20):
                async for event in session.events(AgentEnd):
                    if event.output:
                        assert event.output == "It is sunny in Paris."
                        break


async def test_without_extras_the_mind_and_the_built_in_voice_may_be_asked_for_by_name() -> None:
    for options in (["--mind", "written"], ["--mind", "written", "--voice", "natural"]):
        async with base_install("dev-server", "--port", 0, *options) as server:
            assert "written mind" in await line(server, "Listening on")


async def test_without_extras_a_script_says_what_reads_it(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("otherwise: Pardon?", "utf-8")
    async with base_install("dev-server", "--port", 0, "--script", script) as server:
        assert "pip install pyyaml" in await line(server, "stapes:")


async def test_without_extras_a_recorded_question_is_answered(agent: Path) -> None:
    async with base_install("talk", agent, "--in", QUESTION) as talking:
        assert "Guide" in await line(talking, "built in")
        assert "stapes[speech]" in await line(talking, "OPENAI_API_KEY")
        assert await line(talking, "comes with stapes|I heard you")
        async with asyncio.timeout(30):
            assert await talking.wait() == 0


async def test_without_a_microphone_there_are_other_ways(agent: Path) -> None:
    async with base_install("talk", agent) as talking:
        said = await line(talking, "stapes:")
        assert "stapes[audio]" in said
        assert "stapes serve" in said
        assert await talking.wait() == 1


async def test_the_written_mind_reads_by_rules_and_says_that_it_understands_no_speech(
    agent: Path,
) -> None:
    async with AgentCall(load_agent(str(agent)), mind=WrittenMind()) as call:
        turn = await call.say(voice(0.6, 24_000))
        assert turn.heard == texts.INSTALL
        turn = await call.say("What is the weather in Oslo?")
        turn.expect_tool("weather", city="Oslo")
        assert turn.heard == "It is sunny in Oslo."


def test_a_mind_that_is_asked_for_by_name_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    assert "stapes[speech]" in told("dev-server", "--mind", "listening", "--port", 0)


@pytest.mark.parametrize("verb", ["serve", "talk"])
def test_without_an_agent_the_smallest_one_is_shown(verb: str) -> None:
    said = told(verb)
    assert f"stapes {verb} AGENT.py" in said
    assert 'RealtimeAgent(name="Guide"' in said


def test_a_file_that_is_not_there_is_looked_for_where_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"there is no file nothing.py in {tmp_path}" in told("serve", "nothing.py")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_taken_port_is_named_with_what_to_do(agent: Path, taken: int) -> None:
    for said in (
        told("serve", agent, "--port", taken),
        told("serve", agent, "--port", 0, "--audiosocket", taken),
        told("dev-server", "--mind", "written", "--voice", "tones", "--port", taken),
    ):
        assert f"cannot listen on 127.0.0.1 port {taken}: Address already in use" in said
        assert "or 0 for" in said
        assert "os error" not in said


def test_an_address_of_another_machine_is_told(agent: Path) -> None:
    said = told("serve", agent, "--host", "192.0.2.1", "--public", "--port", 0)
    assert "this machine has no such address" in said


async def test_a_wrong_key_is_told_without_the_key(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-0123456789")
    async with ScriptedServer(reject_status=401) as server:
        said = await asyncio.to_thread(told, "talk", agent, "--in", QUESTION, "--url", server.url)
    assert "check the API key" in said
    assert "0123456789" not in said
    assert "--dev" not in said


def test_a_model_that_cannot_be_reached_leaves_the_way_without_a_network(
    agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    said = told("talk", agent, "--in", QUESTION)
    assert "127.0.0.1:9 refused the connection" in said
    assert "--dev needs no network" in said


NOWHERE = ConnectError("no address found for the host `api.openai.com`")


@pytest.mark.parametrize(
    ("error", "proxy", "says", "says_not"),
    [
        (NOWHERE, None, "set HTTPS_PROXY", None),
        (NOWHERE, "http://proxy:3128", "--dev", "set HTTPS_PROXY"),
        (ConnectTimeoutError("no connection within 10 s"), None, "set HTTPS_PROXY", None),
        (ConnectError("the proxy a:1 did not open a tunnel"), None, "--dev", "set HTTPS_PROXY"),
        (ConnectError("127.0.0.1:9 refused the connection"), None, "--dev", "set HTTPS_PROXY"),
        (CertificateError("the certificate is not accepted"), None, "not accepted", "--dev"),
        (AuthenticationError("check the API key"), None, "check the API key", "--dev"),
        (ValueError("something else"), None, "something else", "--dev"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_network_behind_a_proxy_is_thought_of(
    error: Exception,
    proxy: str | None,
    says: str,
    says_not: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    if proxy is not None:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
    said = why_unreachable(error)
    assert said.startswith(str(error))
    assert says in said
    assert says_not is None or says_not not in said


def test_the_version_is_told() -> None:
    ended = CliRunner().invoke(app, ["--version"])
    assert (ended.exit_code, ended.output) == (0, f"stapes {__version__}\n")


def test_python_that_is_too_old_is_refused_by_name() -> None:
    """By pip for the package, and by make for a clone."""
    root = Path(__file__).parents[2]
    project = (root / "pyproject.toml").read_text("utf-8")
    assert 'requires-python = ">=3.11"' in project
    check: Any = re.search(r"-c '(import sys; sys\.exit\(.+?\))'", (root / "Makefile").read_text())
    old = check[1].replace("sys.version_info", "(3, 10, 14)").replace("import sys; sys.exit", "")
    assert eval(old) == "stapes needs Python 3.11 or newer"
