"""What a session costs that nobody uses yet: servers hold thousands of them."""

from __future__ import annotations

import copy
import dataclasses
import gc
import pickle
import sys
import sysconfig
from typing import Any

import pytest
from agents import RunContextWrapper, Usage

from stapes import RealtimeAgent, RealtimeSession
from stapes.session.upstream import SessionContext, tool_context

MANY = 200
MOST_OBJECTS = 50
"""Of a session without a connection: its parts, their tables and what holds them together."""


def sessions() -> list[RealtimeSession[Any]]:
    agent = RealtimeAgent(name="front")
    return [RealtimeSession(agent, api_key="unused") for _ in range(MANY)]


@pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="its blocks are not counted"
)
async def test_a_session_is_made_of_few_objects():
    kept = [sessions()]
    gc.collect()
    before = sys.getallocatedblocks()
    kept.append(sessions())
    gc.collect()
    assert (sys.getallocatedblocks() - before) / MANY < MOST_OBJECTS


def context() -> SessionContext[Any]:
    return SessionContext({"name": "Ada"}, Usage())


def test_the_context_of_a_session_has_the_fields_of_upstreams():
    made, upstreams = context(), RunContextWrapper({"name": "Ada"})
    for field in dataclasses.fields(RunContextWrapper):
        assert getattr(made, field.name) == getattr(upstreams, field.name), field.name
    with pytest.raises(AttributeError, match="'SessionContext' object has no attribute 'other'"):
        made.other  # type: ignore[attr-defined]  # noqa: B018


def test_what_a_tool_notes_in_its_context_is_the_sessions():
    made = context()
    tool = tool_context(made, None, name="look", call_id="1", arguments="{}")
    assert tool._approvals is made._approvals
    assert tool._tool_invocations is made._tool_invocations
    assert (tool.context, tool.usage) == (made.context, made.usage)


def test_copies_of_the_context_have_its_fields():
    made = context()
    assert copy.copy(made)._approvals is made._approvals
    for copied in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (copied.context, copied.usage) == (made.context, made.usage)
        assert copied._approvals == {}
