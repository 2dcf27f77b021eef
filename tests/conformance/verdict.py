"""What `compare.py` says of the traces that stapes leaves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
_ROOT = Path(__file__).parents[2]


def verdict_of(folder: Path, out: Path, *flags: str) -> list[str]:
    """Replays the scenarios of a folder, and compares with its golden traces; lines."""
    replay = [sys.executable, "-m", "tests.conformance.replay"]
    options = ["--scenarios", str(folder / "scenarios"), "--out", str(out)]
    subprocess.run([*replay, *options], cwd=_ROOT, check=True, timeout=300)
    compare = [sys.executable, str(DATA / "compare.py"), str(folder / "golden"), str(out)]
    departures = ["--departures", str(folder / "departures.json")]
    command = [*compare, *departures, *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


def check(name: str, verdict: list[str]) -> None:
    """Fails where the scenario differs otherwise than stated."""
    for at, line in enumerate(verdict):
        if line.split()[:2] in (["DIFF", name], ["MISSING", name]):
            pytest.fail("\n".join(verdict[at : at + 3]), pytrace=False)
