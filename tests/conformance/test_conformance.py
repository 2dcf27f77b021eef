"""What the JS SDK did in 138 recorded conversations, stapes does, but for the stated departures."""

from __future__ import annotations

import json
import re

import pytest

from tests.conformance.verdict import DATA, check, verdict_of

NAMES = sorted(path.stem for path in (DATA / "scenarios").glob("*.json"))


@pytest.fixture(scope="session")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What `compare.py` says of the traces of all scenarios."""
    return verdict_of(DATA, tmp_path_factory.mktemp("traces"))


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
    check(name, verdict)
