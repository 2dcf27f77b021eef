"""The defaults of options are those of the core."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import pytest

import stapes
import stapes.calls
import stapes.providers
from stapes import RealtimeSession, WebSocketTransport, _core
from stapes.session.options import CoreOptions

# Options that the core does not see there: where to, what a session holds for its transport or has
# of its call, what is a function of the user's, what is counted in Python, and what a provider is
# not asked for.
PYTHON_ONLY = {
    "changes_voice",
    "headers",
    "high_water",
    "hosted_mcp",
    "images",
    "manual_turns",
    "max_outgoing_bytes",
    "max_tokens",
    "out_of_band",
    "prompts",
    "response_settings",
    "resume_after",
    "should_retry",
    "summarise",
    "text_output",
    "turn_detection",
    "url",
}


# Options of a session that have another name in the core's half.
RENAMED = {
    "waiting_responses": "max_waiting_responses",
    "answered_calls": "max_answered_calls",
    "respond_to_mcp_calls": "automatically_trigger_response_for_mcp_tool_calls",
}


def class_of(name: str) -> Any:
    """Give the class whose attributes the core reads."""
    if name == "CoreOptions":
        return CoreOptions
    modules = (stapes.providers, stapes.calls, stapes)
    return next(getattr(module, name) for module in modules if hasattr(module, name))


@pytest.mark.parametrize("name", sorted(_core.OPTION_DEFAULTS))
def test_an_option_has_the_default_of_the_core(name: str):
    cls = class_of(name)
    declared = {field.name: field.default for field in dataclasses.fields(cls)}
    for option in PYTHON_ONLY - set(_core.OPTION_DEFAULTS[name]):
        declared.pop(option, None)
    assert declared == _core.OPTION_DEFAULTS[name]


@pytest.mark.parametrize("name", sorted(_core.OPTION_DEFAULTS))
def test_an_option_is_documented(name: str):
    cls = class_of(name)
    documented = re.findall(
        r"^    (\w+): ", inspect.getdoc(cls).split("Attributes:")[1], re.MULTILINE
    )
    assert sorted(documented) == sorted(field.name for field in dataclasses.fields(cls))


def test_a_session_and_its_transport_have_the_defaults_of_the_core():
    parameters = inspect.signature(RealtimeSession).parameters
    declared = {field.name: field.default for field in dataclasses.fields(WebSocketTransport)}
    declared |= {name: parameter.default for name, parameter in parameters.items()}
    declared["guardrail_debounce"] = CoreOptions.guardrail_debounce
    declared["purpose"] = CoreOptions.purpose
    declared["resume_after"] = stapes.calls.CallOptions().resume_after
    defaults = _core.OPTION_DEFAULTS["CoreOptions"]
    assert {name: declared[RENAMED.get(name, name)] for name in defaults} == defaults
