"""The typed face of calls in tests: mypy checks this file, nothing runs it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, assert_type

from stapes import AgentToolStart, RealtimeAgent, RealtimeSession
from stapes.devserver import ArmedDrop, ConversationView, ItemView, Record
from stapes.testing import AgentCall, AgentTurn, Caller, Drop, Rudeness, ScriptedMind, ToolUse

agent: RealtimeAgent[Any] = RealtimeAgent(name="Desk")


async def a_test(caller: Caller) -> None:
    """What users write, with the types that they get."""
    call = await caller(agent, mind=ScriptedMind(), context="x", patience=3.0)
    assert_type(call, AgentCall)
    turn = await call.say("hello")
    assert_type(turn, AgentTurn)
    assert_type(turn.expect_tool("weather", city=re.compile("Paris")), ToolUse)
    assert_type(turn.heard, str)
    assert_type(turn.latency, float)
    assert_type(await call.say(Path("a.wav")), AgentTurn)
    story = call.say("a story", voice=True)
    assert_type(await call.say("stop", barge_in_at="word"), AgentTurn)
    assert_type(story.interrupted, bool)
    assert_type(call.seen(AgentToolStart), list[AgentToolStart])
    assert_type(call.session, RealtimeSession[Any])
    assert_type(call.conversation, ConversationView)
    assert_type(call.conversation.items, tuple[ItemView, ...])
    assert_type(call.served.received, Record)
    assert_type(call.served.sent[-1], dict[str, Any])
    assert_type(await call.served.sent.wait_for("response.done", seconds=1.0), dict[str, Any])
    assert_type(await call.approve(), AgentTurn)
    assert_type(await call.reject("no"), AgentTurn)
    first, second = await asyncio.gather(caller(agent), caller(agent))
    assert_type(first, AgentCall)
    assert_type(second, AgentCall)


async def a_rude_server(caller: Caller) -> None:
    """What users write of a server that misbehaves."""
    rude = Rudeness(drop=("first_delta:reset", Drop("deltas", 1012, nth=2)), session_seconds=5)
    call = await caller(agent, server=rude)
    assert_type(call.server.arm("function_call", "half_open"), ArmedDrop)
    call.server.refuse_next("reset", count=2)
    call.server.rudeness = Rudeness()
    await call.served.drop(1011)
