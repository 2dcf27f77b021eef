"""The options of a session stand in three places, which must name the same ones."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest

from stapes import RealtimeAgent, RealtimeSession
from stapes.session.options import SessionOptions
from stapes.session.scope import Scope

NOT_OPTIONS = {"self", "agent", "context", "history"}
"""The last two begin a session and are not kept as options."""


def parameters() -> dict[str, inspect.Parameter]:
    found = inspect.signature(RealtimeSession.__init__).parameters
    return {name: found[name] for name in found if name not in NOT_OPTIONS}


def documented() -> list[str]:
    """The names in the `Args` of the docstring, in order."""
    arguments = inspect.getdoc(RealtimeSession).split("Args:")[1].split("Raises:")[0]
    lines = re.findall(r"^    ([a-z_]+(?:, [a-z_]+)*):", arguments, re.MULTILINE)
    return [name for line in lines for name in line.split(", ")]


def test_every_parameter_is_an_option():
    assert {field.name for field in dataclasses.fields(SessionOptions)} == set(parameters())


def test_the_signature_alone_states_the_defaults():
    missing = dataclasses.MISSING
    for field in dataclasses.fields(SessionOptions):
        assert (field.default, field.default_factory) == (missing, missing), field.name
    for name, parameter in parameters().items():
        assert parameter.default is not inspect.Parameter.empty, name


def test_every_parameter_is_documented_in_its_order():
    public = [
        name for name in inspect.signature(RealtimeSession.__init__).parameters if name != "self"
    ]
    assert sorted(documented()) == sorted(public)


@pytest.mark.parametrize("option", ["max_waiting_responses", "max_answered_calls"])
async def test_a_bound_of_nothing_is_refused_by_name(option):
    with pytest.raises(ValueError, match=f"{option} must be at least 1"):
        RealtimeSession(RealtimeAgent(name="front"), **{option: 0})


def test_a_scope_stays_small():
    assert len(dataclasses.fields(Scope)) <= 5
    own = {name for name, value in vars(Scope).items() if callable(value)}
    assert not {name for name in own if not name.startswith("__")}
