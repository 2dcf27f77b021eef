"""What the JS SDK's Twilio transport did in 84 recorded calls, stapes does, but for the departures.

How sound is cut into messages and where marks stand is each one's own business: marks are compared
by what follows from them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.verdict import DATA, check, count_compared, names_in, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

CALLS = DATA / "twilio"
NAMES = names_in(CALLS / "scenarios")
DEPARTURES = json.loads((CALLS / "departures.json").read_text())
HEARD = [name for name in NAMES if name.startswith("phone_barge_in")]


@pytest.fixture(scope="session")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the traces of all scenarios are, once `verdict` has made them."""
    return tmp_path_factory.mktemp("calls")


@pytest.fixture(scope="session")
def verdict(traces: Path) -> list[str]:
    """What `compare.py` says of the traces of all scenarios."""
    return verdict_of(CALLS, traces, "--no-marks")


def test_every_call_has_a_golden_trace() -> None:
    assert len(NAMES) == 84
    assert names_in(CALLS / "golden") == NAMES
    assert set(DEPARTURES) <= set(NAMES)


def test_every_call_was_compared(verdict: list[str]) -> None:
    assert count_compared(verdict) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_does_what_the_reference_does(name: str, verdict: list[str]) -> None:
    check(name, verdict)


@pytest.mark.parametrize("name", sorted(name for name in DEPARTURES if "cuts" in DEPARTURES[name]))
@pytest.mark.usefixtures("verdict")
def test_answers_are_cut_where_the_departure_says(name: str, traces: Path) -> None:
    trace: dict[str, Any] = json.loads((traces / f"{name}.json").read_text())
    cuts = [
        f"{message['item_id']}/{message['content_index']} {message['audio_end_ms']}"
        for message in trace["client_messages"]
        if message["type"] == "conversation.item.truncate"
    ]
    assert cuts == DEPARTURES[name]["cuts"]


@pytest.mark.parametrize("name", HEARD)
@pytest.mark.usefixtures("verdict")
def test_an_answer_is_cut_where_the_phone_had_played_it_to(name: str, traces: Path) -> None:
    trace: dict[str, Any] = json.loads((traces / f"{name}.json").read_text())
    timeline = [entry for step in trace["steps"] for entry in step["timeline"]]
    (played,) = (entry["heard_ms"] for entry in timeline if entry["k"] == "phone")
    cuts = [m for m in trace["client_messages"] if m["type"] == "conversation.item.truncate"]
    cut = {message["item_id"]: message["audio_end_ms"] for message in cuts}
    assert cut, "nothing was cut"
    for item_id, audio_end_ms in cut.items():
        assert abs(audio_end_ms - played[item_id]) <= 1
