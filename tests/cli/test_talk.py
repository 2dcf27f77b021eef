"""`stapes talk` and `stapes dev-server`, as a user runs them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from simulated import voice
from typer.testing import CliRunner

from stapes.audio import read_wav, write_wav
from stapes.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

SCRIPT = """\
turns:
  - when: {regex: "weather in (?P<city>\\\\w+)"}
    call: {name: weather, arguments: {city: "{city}"}}
  - when: refund
    call: {name: refund, arguments: {amount: 40}}
  - {after: "*", say: "{output}"}
hears: ["what is the weather in Lisbon", "I want a refund"]
"""
AGENT = """\
from agents import function_tool
from stapes import RealtimeAgent

@function_tool
def weather(city: str) -> str:
    return f"It rains in {city}."

@function_tool(needs_approval=True)
def refund(amount: int) -> str:
    return f"{amount} dollars are on their way."

agent = RealtimeAgent(name="Desk", tools=[weather, refund])
"""


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def stapes(*arguments: object) -> Result:
    """Run the command line in this process."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("server") / "script.yaml"
    path.write_text(SCRIPT, "utf-8")
    return path


@pytest.fixture(scope="module")
def server(script: Path) -> Iterator[str]:
    """The URL of a scripted development server, run by the command line."""
    arguments = ["dev-server", "--port", "0", "--script", str(script), "--voice", "tones"]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "stapes.cli", *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"ws://127\.0\.0\.1:\d+/v1/realtime", line)
        assert found, line
        yield found[0]
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    path = tmp_path / "desk.py"
    path.write_text(AGENT, "utf-8")
    return path


@pytest.fixture
def question(tmp_path: Path) -> Path:
    path = tmp_path / "question.wav"
    write_wav(path, bytes(6_400) + voice(0.6, 16_000) + bytes(6_400), 16_000)
    return path


def test_a_question_in_a_file_is_answered_in_a_file(
    server: str, agent: Path, question: Path, tmp_path: Path
) -> None:
    answer = tmp_path / "answers" / "answer.wav"
    arguments = ["talk", str(agent), "--url", server, "--in", str(question), "--out", str(answer)]

    ended = subprocess.run(
        [sys.executable, "-m", "stapes.cli", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert 'weather(city="Lisbon") → It rains in Lisbon.' in ended.stdout
    assert re.search(r"Desk +It rains in Lisbon\.  \(\d\.\d\d s\)", ended.stdout)
    samples, rate = read_wav(answer)
    assert rate == 24_000
    assert np.abs(samples.astype(int)).max() > 3_000


def test_several_questions_follow_each_other_and_leave_a_record(
    server: str, agent: Path, question: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    questions = ("--in", question, "--in", question)

    ended = stapes(
        "talk",
        agent,
        "--url",
        server,
        *questions,
        "--approve",
        "all",
        "--record",
        tmp_path / "call",
    )

    assert ended.exit_code == 0, ended.stderr
    assert "approved by --approve all" in ended.stdout
    assert "40 dollars are on their way." in ended.stdout
    stereo, _ = read_wav(tmp_path / "call" / "conversation.wav")
    assert stereo.shape[1] == 2
    assert (tmp_path / "call" / "timeline.png").exists()


def test_a_tool_that_nobody_approves_does_not_run(server: str, agent: Path, question: Path) -> None:
    ended = stapes("talk", agent, "--url", server, "--in", question, "--in", question)

    assert ended.exit_code == 0, ended.stderr
    assert "no terminal to ask on" in ended.stdout
    assert "40 dollars" not in ended.stdout


def test_where_no_answer_comes_in_time_it_fails_and_says_so(
    server: str, agent: Path, question: Path
) -> None:
    # The server waits longer than that to be sure that the caller has finished.
    ended = stapes("talk", agent, "--url", server, "--in", question, "--patience", "0.1")

    assert ended.exit_code == 1
    assert "the answer did not come within 0.1 s" in ended.stderr


def test_a_server_that_is_not_there_is_named_in_one_line(agent: Path, question: Path) -> None:
    ended = stapes("talk", agent, "--url", "ws://127.0.0.1:9/v1/realtime", "--in", question)

    assert ended.exit_code == 1
    assert ended.stderr.startswith("stapes: ")
    assert "127.0.0.1:9" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py", "--in", "{question}"], "there is no file nowhere.py"),
        (["{agent}", "--in", "nowhere.wav"], "nowhere.wav cannot be read"),
        (["{agent}:nobody", "--in", "{question}"], "has no variable nobody"),
        (["{agent}", "--dev", "--url", "ws://x", "--in", "{question}"], "give one of the two"),
        (["{agent}", "--microphone", "no such thing"], "--in question.wav --out answer.wav"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    agent: Path, question: Path, arguments: list[str], message: str
) -> None:
    ended = stapes("talk", *(text.format(agent=agent, question=question) for text in arguments))

    assert ended.exit_code == 1
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (100, 384_000, "question.wav cannot be resampled: from_rate is 384000 Hz"),
        (0, 16_000, "question.wav has no sound in it"),
    ],
)
def test_a_file_that_cannot_be_said_is_refused_in_one_line(
    agent: Path, tmp_path: Path, samples: int, rate: int, message: str
) -> None:
    path = tmp_path / "question.wav"
    write_wav(path, bytes(2 * samples), rate)

    ended = stapes("talk", agent, "--in", path)

    assert ended.exit_code == 1
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("at", "damage", "message"),
    [
        (24, bytes(4), "a rate of 0 samples"),
        (0, b"OggS", "it does not begin as one"),
        (20, b"\x11\0", "0x0011"),
        (36, b"junk", "it has no chunk of sound"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line_that_names_it(
    agent: Path, question: Path, at: int, damage: bytes, message: str
) -> None:
    content = bytearray(question.read_bytes())
    content[at : at + len(damage)] = damage
    question.write_bytes(content)

    ended = stapes("talk", agent, "--in", question)

    assert ended.exit_code == 1
    assert ended.stderr.startswith(f"stapes: {question} is not a WAV file")
    assert message in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_the_secrets_of_a_url_are_not_shown(server: str, agent: Path, question: Path) -> None:
    url = server.replace("ws://", "ws://caller:hush-hush@") + "?api-key=sesame-sesame#sesame-sesame"

    ended = stapes("talk", agent, "--url", url, "--in", question)

    assert ended.exit_code == 0, ended.stderr
    assert f"model: {server}" in ended.stdout
    assert "hush" not in ended.stdout
    assert "sesame" not in ended.stdout


def test_an_agent_that_cannot_be_is_no_traceback(tmp_path: Path, question: Path) -> None:
    path = tmp_path / "desk.py"
    path.write_text("raise ValueError('too late')\n", "utf-8")

    ended = stapes("talk", path, "--in", question)

    assert (ended.exit_code, ended.stderr) == (
        1,
        f"stapes: {path} raises ValueError: too late (line 1)\n",
    )


def test_what_goes_wrong_in_a_server_is_logged_on_standard_error(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text("turns: [{say: Hello.}]\n", "utf-8")
    command = [sys.executable, "-u", "-m", "stapes.cli", "dev-server", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--script", str(path), "--voice", "tones"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert found
        with socket.create_connection(("127.0.0.1", int(found[1]))) as client:
            client.sendall(b"no request\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 400")
    finally:
        process.terminate()
        _, logged = process.communicate(timeout=10)
    assert "WARNING uvicorn.error: Invalid HTTP request received." in logged


def test_a_taken_port_is_named_with_a_way_out(server: str, script: Path) -> None:
    port = re.findall(r":(\d+)/", server)[0]

    ended = stapes("dev-server", "--port", port, "--voice", "tones", "--script", script)

    assert ended.exit_code == 1
    assert f"port {port}" in ended.stderr
    assert "--port" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--script", "nowhere.yaml"], "nowhere.yaml"),
        (["--mind", "scripted"], "add --script FILE.yaml"),
        (["--mind", "listening", "--script", "x.yaml"], "add --mind scripted"),
    ],
)
def test_a_server_without_its_script_says_what_is_missing(
    arguments: list[str], message: str
) -> None:
    ended = stapes("dev-server", "--voice", "tones", *arguments)

    assert ended.exit_code == 1
    assert message in ended.stderr
