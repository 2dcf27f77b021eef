"""What the JS SDK did in 138 recorded conversations, stapes does, but for the stated departures."""

from __future__ import annotations

import json

import pytest

from tests.conformance.verdict import DATA, check, count_compared, names_in, verdict_of

NAMES = names_in(DATA / "scenarios")


@pytest.fixture(scope="session")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What `compare.py` says of the traces of all scenarios."""
    return verdict_of(DATA, tmp_path_factory.mktemp("traces"))


def test_every_scenario_has_a_golden_trace() -> None:
    assert len(NAMES) == 138
    assert names_in(DATA / "golden") == NAMES
    departures = json.loads((DATA / "departures.json").read_text())
    assert set(departures) <= set(NAMES)


def test_every_scenario_was_compared(verdict: list[str]) -> None:
    assert count_compared(verdict) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_reference(name: str, verdict: list[str]) -> None:
    check(name, verdict)
