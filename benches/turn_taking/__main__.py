"""Measures turn-taking by ear, and writes docs/turn-taking.md.

`voicebench` plays a caller to `stapes serve examples/front_desk/agent.py`, over the WebSocket of
web pages, and finds out from the sound alone how long answers take and whether the agent stops. The
model is the development server, so its ears and its voice are measured, too.

    python -m benches.turn_taking [--sessions 3]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benches.load.machine import describe
from benches.load.words import NOTHING, table

HERE = Path(__file__).parent
SCENARIO = HERE / "front_desk.yaml"
OUT = Path("out/turn-taking")
PAGE = Path("docs/turn-taking.md")

INTRODUCTION = """\
# Turn-taking, measured by ear

Made by `make bench-turns`: `voicebench` {version}, which others wrote, plays a
caller to `stapes serve examples/front_desk/agent.py` over the WebSocket of web pages, and finds out
from the sound of both sides how long answers take, and whether the agent stops. {sessions} calls
of {turns} turns on {cores} cores of {processor}.

The model is the development server: the time of an answer is above all the {silence} ms of
silence that end a turn, and what its recogniser and its voice take. A provider has
times of its own; what `stapes` adds is in [the benchmarks](phone-benchmarks.md).
"""

SILENCE_MS = 800


def _serve() -> tuple[subprocess.Popen[str], str]:
    """The server, and the URL of its calls."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    environment.pop("OPENAI_API_KEY", None)
    agent = "examples/front_desk/agent.py"
    command = [sys.executable, "-m", "stapes.cli", "serve", agent, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"http://([\d.]+:\d+)/", line):
            return server, f"ws://{found[1]}/talk"
    raise RuntimeError("the server has ended before it listened")


def _measure(sessions: int) -> dict[str, Any]:
    server, url = _serve()
    try:
        command = [sys.executable, "-m", "voicebench", "run", str(SCENARIO), "--url", url]
        # It ends with 1 where an assertion of the scenario fails, which the page says.
        subprocess.run([*command, "-n", str(sessions), "--out", str(OUT)], check=False)
    finally:
        server.terminate()
        server.wait(30)
    report: dict[str, Any] = json.loads((OUT / "report.json").read_text())
    return report


def _ms(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0f} ms"


def _span(times: dict[str, float] | None) -> str:
    if not times:
        return NOTHING
    return f"{_ms(times['p50'])} / {_ms(times['p90'])} / {_ms(times['max'])}"


def _turn(turn: dict[str, Any]) -> list[str]:
    return [
        turn["id"],
        turn["expect"],
        _ms(turn["response_latency_ms"]),
        _ms(turn["stop_latency_ms"]),
        "yes" if turn["passed"] else "**no**",
    ]


def write(report: dict[str, Any]) -> None:
    """The page."""
    summary = report["summary"]
    success = summary["barge_in_success_rate"]
    rows = [
        ["turns as they should be", f"{summary['turns_passed']} of {summary['turns']}"],
        ["response latency, p50 / p90 / longest", _span(summary["response_latency_ms"])],
        ["responses that did not come", str(summary["missed_responses"])],
        ["the agent stops, p50 / p90 / longest", _span(summary["barge_in_stop_ms"])],
        ["interruptions that stopped it", NOTHING if success is None else f"{success:.0%}"],
        ["noises that stopped it", f"{summary['false_barge_ins']} of {summary['noise_turns']}"],
        ["responses to nothing", str(summary["spurious_responses"])],
    ]
    turns = report["scenario"]["turns"]
    introduction = INTRODUCTION.format(
        version=report["voicebench_version"],
        sessions=summary["sessions"],
        turns=turns,
        silence=SILENCE_MS,
        **describe(),
    )
    first = report["sessions"][0]["turns"]
    head = ["turn", "the agent is to", "responds after", "stops after", "does"]
    parts = [introduction, table(["", ""], rows), "\n## The first call\n"]
    PAGE.write_text("\n".join([*parts, table(head, map(_turn, first)), ""]), encoding="utf-8")


def main() -> None:
    """Measures, and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sessions", type=int, default=3)
    write(_measure(parser.parse_args().sessions))


if __name__ == "__main__":
    main()
