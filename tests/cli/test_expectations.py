from __future__ import annotations

import pytest
from simulated import LOUDSPEAKER_RATE, MICROPHONE_RATE, SimulatedCall, voice

from stapes.cli.demo.expectations import (
    Answered,
    Approved,
    BargesIn,
    Blocked,
    Called,
    CutShort,
    Expectation,
    HandedOver,
    judge,
)
from stapes.events import Error

ALL: list[Expectation] = [
    Answered(),
    Called("weather", {"city": "Paris"}),
    CutShort(),
    BargesIn(),
    Blocked("no codes", unheard="4711"),
    HandedOver("Front desk", "Billing"),
    Approved("refund"),
]


def lively() -> SimulatedCall:
    """A call in which all of it happens."""
    call = SimulatedCall()
    call.tool("weather", "It rains.", city="Paris")
    call.answer(voice(1.0, LOUDSPEAKER_RATE), "It rains in Paris")
    call.hear_out()
    call.answer(voice(4.0, LOUDSPEAKER_RATE), "a long story with an end")
    call.wait(1.0)
    call.ask(voice(1.0, MICROPHONE_RATE), "wait")
    call.tool("refund", "done", approval=1.0, amount=40)
    _, item_id = call.answer(voice(4.0, LOUDSPEAKER_RATE), "the code is 4711")
    call.wait(1.0)
    call.trip("no codes", item_id)
    call.interrupt()
    call.handoff("Front desk", "Billing")
    call.answer(voice(1.0, LOUDSPEAKER_RATE), "Billing here", agent="Billing")
    call.hear_out()
    return call


@pytest.mark.parametrize("expectation", ALL, ids=lambda e: type(e).__name__)
def test_what_happened_is_found(expectation: Expectation) -> None:
    assert expectation.missing(lively().journal.entries) is None


@pytest.mark.parametrize("expectation", ALL, ids=lambda e: type(e).__name__)
def test_what_did_not_happen_is_missed(expectation: Expectation) -> None:
    call = SimulatedCall()
    call.ask(voice(1.0, MICROPHONE_RATE), "hello")

    assert expectation.missing(call.journal.entries)


@pytest.mark.parametrize(
    ("expectation", "found"),
    [
        (Called("weather", {"city": "Lisbon"}), "Paris"),
        (Answered(holding="snow"), "It rains"),
        (Blocked("no codes", unheard="4"), "did not trip"),
        (HandedOver("Billing", "Front desk"), "did not speak"),
    ],
)
def test_something_else_is_not_taken_for_it(expectation: Expectation, found: str) -> None:
    call = SimulatedCall()
    call.tool("weather", "It rains.", city="Paris")
    call.answer(voice(1.0, LOUDSPEAKER_RATE), "It rains in Paris")
    call.handoff("Front desk", "Billing")
    call.hear_out()

    assert found in (expectation.missing(call.journal.entries) or "")


def test_a_secret_that_was_heard_is_not_blocked_though_the_guardrail_tripped() -> None:
    call = SimulatedCall()
    _, item_id = call.answer(voice(1.0, LOUDSPEAKER_RATE), "it is 4 7 1 1")
    call.hear_out()
    call.trip("no codes", item_id)

    blocked = Blocked("no codes", unheard="4711").missing(call.journal.entries)
    assert blocked == "4711 was heard"


def test_an_error_anywhere_fails_the_whole() -> None:
    call = lively()
    assert all(outcome.failure is None for outcome in judge([(ALL, call.journal.entries)]))

    call.journal.observe(Error(ValueError("no such item")))

    failures = [o for o in judge([(ALL, call.journal.entries)]) if o.failure is not None]
    assert [(outcome.text, outcome.failure) for outcome in failures] == [
        ("no errors", "no such item")
    ]
