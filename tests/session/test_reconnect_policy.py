"""How a session goes on when its connection is lost: the options, and what they refuse."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import pytest

from stapes import ReconnectPolicy


def test_the_defaults_are_a_policy_that_is_fit_for_a_call():
    policy = ReconnectPolicy()
    assert (policy.attempts, policy.max_reconnects, policy.first_delay) == (8, None, 0.0)
    assert (policy.base_delay, policy.max_delay, policy.jitter) == (0.25, 8.0, 0.5)
    assert policy == ReconnectPolicy()
    assert policy.go_on is not None
    for words in ("Do not greet", "by voice", "in the language of the conversation"):
        assert words in policy.go_on


def test_every_option_is_documented():
    documented = re.findall(
        r"^    (\w+): ",
        (inspect.getdoc(ReconnectPolicy) or "").split("Attributes:")[1],
        re.MULTILINE,
    )
    assert documented == [field.name for field in dataclasses.fields(ReconnectPolicy)]


def test_a_policy_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ReconnectPolicy().attempts = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 1, "max_reconnects": 0, "jitter": 0, "max_unsent_audio": 0},
        {"jitter": 1, "base_delay": 2, "max_delay": 2, "rollover_margin": 0},
        {"max_session_duration": 121, "go_on": None},
        {"max_replayed_items": 0, "max_replayed_characters": 0},
        {"summarise": lambda items: f"{len(items)} items", "should_retry": lambda error: True},
    ],
    ids=lambda options: " ".join(options),
)
def test_the_bounds_themselves_are_taken(options: dict[str, Any]):
    policy = ReconnectPolicy(**options)
    assert {name: getattr(policy, name) for name in options} == options


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"attempts": 0}, ValueError, "attempts must be at least 1"),
        ({"attempts": 1.5}, TypeError, "attempts must be a whole number, not float"),
        ({"attempts": True}, TypeError, "attempts must be a whole number, not bool"),
        ({"max_reconnects": -1}, ValueError, "max_reconnects must be at least 0"),
        ({"max_handshakes": 0}, ValueError, "max_handshakes must be at least 1"),
        ({"max_replayed_items": -1}, ValueError, "max_replayed_items"),
        ({"max_replayed_characters": None}, TypeError, "max_replayed_characters"),
        ({"first_delay": -1}, ValueError, "first_delay is -1: give it as seconds, zero or more"),
        ({"first_delay": "1"}, TypeError, "first_delay must be a number, not str"),
        ({"base_delay": 0}, ValueError, "base_delay is 0: give it as seconds, more than zero"),
        ({"base_delay": 9}, ValueError, "max_delay is 8.0, less than base_delay, 9"),
        ({"max_delay": float("inf")}, ValueError, "max_delay is inf"),
        ({"jitter": 1.5}, ValueError, "jitter is 1.5: give the share that is random, 0 to 1"),
        ({"jitter": float("nan")}, ValueError, "jitter is nan"),
        ({"max_unsent_audio": float("nan")}, ValueError, "max_unsent_audio is nan"),
        ({"rollover_margin": -1}, ValueError, "rollover_margin is -1"),
        ({"max_session_duration": 0}, ValueError, "max_session_duration is 0"),
        (
            {"max_session_duration": 60},
            ValueError,
            "rollover_margin is 120.0, which leaves nothing",
        ),
        ({"summarise": "short"}, TypeError, "summarise must be a function or None, not str"),
        ({"should_retry": True}, TypeError, "should_retry must be a function or None, not bool"),
        ({"continue_answers": "no"}, TypeError, "continue_answers must be a bool, not str"),
        ({"go_on": 5}, TypeError, "go_on must be text or None, not int"),
        ({"go_on": " "}, ValueError, "go_on is empty"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_refused_by_name(options: dict[str, Any], kind: type, words: str):
    with pytest.raises(kind, match=re.escape(words)):
        ReconnectPolicy(**options)
