"""What `compare.py` says of the traces that stapes leaves."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
_ROOT = Path(__file__).parents[2]


def names_in(folder: Path) -> list[str]:
    """The names of a folder's scenarios, or of their golden traces."""
    return sorted(path.stem for path in folder.glob("*.json"))


def count_compared(verdict: list[str]) -> int:
    """How many scenarios were compared, as its last line sums up."""
    return sum(int(number) for number in re.findall(r"\d+", verdict[-1]))


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
