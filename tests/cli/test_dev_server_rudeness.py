"""The options of `stapes dev-server` that make it rude."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from stapes.cli.app import app
from stapes.devserver import POINTS, WAYS

if TYPE_CHECKING:
    from pathlib import Path


def test_it_lists_the_points_and_the_ways() -> None:
    ended = CliRunner().invoke(app, ["dev-server", "--drop", "help"])
    assert ended.exit_code == 0
    for name, meaning in {**POINTS, **WAYS}.items():
        assert f"  {name} " in ended.stdout
        assert meaning in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--drop", "first_dleta"], "--drop 'first_dleta': there is no point"),
        (["--drop", "deltas:reset:x"], "--drop 'x' in 'deltas:reset:x' is no count: write 2"),
        (["--refuse", "-2"], "--refuse is -2: give 0 or more"),
        (["--refuse-with", "no"], "--refuse-with 'no': give an HTTP status from 400 to 599"),
        (["--refuse-with", "200"], "--refuse-with is 200: give an HTTP status from 400 to 599"),
        (["--retry-after", "-1"], "--retry-after is -1.0: give zero or more"),
        (["--session-seconds", "0"], "--session-seconds is 0"),
        (["--slow", "-1"], "--slow is -1.0: give zero or more"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_name_of_the_option(
    arguments: list[str], says: str
) -> None:
    ended = CliRunner().invoke(app, ["dev-server", *arguments])
    assert ended.exit_code == 1
    assert ended.stderr.startswith(f"stapes: {says}")
    assert "Traceback" not in ended.output


def test_it_says_how_it_is_rude_and_what_it_did(tmp_path: Path) -> None:
    script = tmp_path / "calls.yaml"
    script.write_text("otherwise: Hello.\n")
    command = [sys.executable, "-m", "stapes.cli", "dev-server", "--port", "0"]
    rude = ["--drop", "session_created:1012", "--refuse", "1", "--session-seconds", "60"]
    tones = ["--script", str(script), "--voice", "tones"]
    process = subprocess.Popen(
        [*command, *tones, *rude], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2]
        key = {"Authorization": "Bearer k"}
        with pytest.raises(Exception, match="HTTP 503"):
            connect(url, additional_headers=key)
        with connect(url, additional_headers=key) as client:
            client.recv()
            with pytest.raises(ConnectionClosed, match="1012"):
                client.recv()
        process.send_signal(signal.SIGINT)
        process.wait(10)
        # `communicate` would not see what `readline` has read ahead.
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
    finally:
        process.kill()
    assert err == ""
    lines = out.splitlines()
    assert lines[-6:-2] == [
        "Simulated failures:",
        "  ends sessions after 60 s",
        "  drops a connection at session_created:1012",
        "  refuses the next connection (503)",
    ]
    assert [line[10:] for line in lines[-2:]] == [
        "refused a connection: 503",
        "dropped a connection at session_created:1012",
    ]
