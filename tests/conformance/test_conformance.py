"""What the JS SDK did in 138 recorded conversations, stapes does, but for the stated departures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (DATA / "scenarios").glob("*.json"))


@pytest.fixture(scope="session")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What `compare.py` says of the traces of all scenarios."""
    out = tmp_path_factory.mktemp("traces")
    replay = [sys.executable, "-m", "tests.conformance.replay"]
    options = ["--scenarios", str(DATA / "scenarios"), "--out", str(out)]
    subprocess.run([*replay, *options], cwd=ROOT, check=True, timeout=300)
    compare = [sys.executable, str(DATA / "compare.py"), str(DATA / "golden"), str(out)]
    return subprocess.run(compare, capture_output=True, text=True, check=False).stdout.splitlines()


def test_every_scenario_has_a_golden_trace() -> None:
    assert len(NAMES) == 138
    assert sorted(path.stem for path in (DATA / "golden").glob("*.json")) == NAMES
    departures = json.loads((DATA / "departures.json").read_text())
    assert set(departures) <= set(NAMES)


def test_every_scenario_was_compared(verdict: list[str]) -> None:
    counts = [int(number) for number in re.findall(r"\d+", verdict[-1])]
    assert sum(counts) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_reference(name: str, verdict: list[str]) -> None:
    for at, line in enumerate(verdict):
        if line.split()[:2] in (["DIFF", name], ["MISSING", name]):
            pytest.fail("\n".join(verdict[at : at + 3]), pytrace=False)
