"""How events are registered for and shown."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any, get_args, get_overloads

import pytest
from agents import RunContextWrapper, function_tool

from stapes import (
    AgentEnd,
    AgentHandoff,
    AgentToolEnd,
    Audio,
    AudioInterrupted,
    RealtimeAgent,
    RealtimeSession,
    SessionEvent,
    ToolApproval,
    ToolApprovalRequested,
    ToolCall,
    TransportEvent,
)
from stapes.events import AnyEvent

AGENT = RealtimeAgent(name="front", instructions="SECRET instructions.")
NEXT = RealtimeAgent(name="next", instructions="SECRET instructions.")
CONTEXT = RunContextWrapper({"card": "SECRET number"})


@function_tool
async def weather(city: str) -> str:
    """Say how the weather is, with SECRET words."""
    return city


def test_every_event_has_its_overloads_of_on():
    found: dict[str, list[str]] = {}
    for overload in get_overloads(RealtimeSession.on):
        parameters = inspect.signature(overload).parameters
        result = str(inspect.signature(overload).return_annotation)
        found.setdefault(str(parameters["event"].annotation), []).append(result)
    for kind in get_args(AnyEvent):
        call, mark = found.pop(f"Literal[{kind.type!r}]")
        assert call == f"_Call[ev.{kind.__name__}, R]"
        assert mark == f"_Mark[ev.{kind.__name__}]"
    assert list(found) == ["Literal['*']"]


def test_what_a_reader_of_all_gets_has_no_raw_events_in_its_type():
    assert set(get_args(AnyEvent)) - set(get_args(SessionEvent)) == {TransportEvent}


def test_the_clock_of_tests_is_no_option():
    names = inspect.signature(RealtimeSession).parameters
    assert not [name for name in names if name.startswith("_")]


CALL = ToolCall("c1", "weather", "{}", "i1", "r1")
APPROVAL = ToolApproval(
    kind="function_approval",
    agent=AGENT,
    tool_name="weather",
    arguments="{}",
    call_id="c1",
    item_id="i1",
    tool=weather,
)


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        (APPROVAL, "ToolApproval(kind='function_approval', agent=<front>, tool_name='weather'"),
        (
            ToolApprovalRequested(CONTEXT, AGENT, APPROVAL),
            "ToolApprovalRequested(agent=<front>, approval=ToolApproval(",
        ),
        (AgentEnd(CONTEXT, AGENT, "Hi.", "r1"), "agent=<front>, output='Hi.', response_id='r1')"),
        (AgentHandoff(CONTEXT, AGENT, NEXT), "AgentHandoff(from_agent=<front>, to_agent=<next>)"),
        (
            AgentToolEnd(CONTEXT, AGENT, weather, "sunny", CALL),
            "AgentToolEnd(agent=<front>, tool=<weather>, result='sunny', tool_call=ToolCall(",
        ),
        (AudioInterrupted(CONTEXT, AGENT, "r1"), "(agent=<front>, response_id='r1')"),
        (Audio(b"1", "r", "i"), "Audio(data=b'1'"),
    ],
)
def test_a_repr_names_agents_and_tools_and_shows_nothing_of_them(shown: Any, says: str):
    assert says in repr(shown)
    assert "SECRET" not in repr(shown)
    assert len(repr(shown)) < 300


@pytest.mark.parametrize("kind", get_args(AnyEvent), ids=lambda kind: kind.__name__)
def test_no_event_shows_the_users_context(kind: type[Any]):
    names = [part.name for part in fields(kind)]
    values: dict[str, Any] = dict.fromkeys(names, "x")
    values |= {name: AGENT for name in ("agent", "from_agent", "to_agent") if name in names}
    values |= {name: CONTEXT for name in ("context",) if name in names}
    # The context of an error is text.
    if kind.type != "error":
        assert "SECRET" not in repr(kind(**values))
