"""A session goes on in another process from a snapshot."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool

from stapes import (
    HistoryAdded,
    RealtimeAgent,
    RealtimeSession,
    ReconnectPolicy,
    ToolApprovalRequested,
)
from stapes.testing import VirtualClock, settle

if TYPE_CHECKING:
    from tests.talk import Talk, Talks

KEY = "sk-secret-0123456789"
POLICY: dict[str, Any] = {"reconnect": ReconnectPolicy(go_on=None)}


async def talked(talks: Talks, *tools: Any) -> Talk:
    talk = await talks.begin(*tools, **POLICY)
    await talk.session.send_message("How is Paris?", trigger_response=False)
    await talk.settle()
    item = talk.sent("conversation.item.create")[-1]["item"]
    for kind in ("added", "done"):
        event = {"type": f"conversation.item.{kind}", "previous_item_id": None, "item": item}
        await talk.says(event)
    await talk.answers("r", "i", "aaaa bbbb cccc dddd", ms=4000)
    await talk.after(2.1)
    await talk.session.interrupt()
    await talk.settle()
    return talk


async def resumed(
    talk: Talk, stored: Any, *tools: Any
) -> tuple[RealtimeSession[Any], tuple[list[Any], list[Any]]]:
    """Another session goes on, over the same server."""
    await talk.session.close()
    await talk.settle()
    agents = [RealtimeAgent(name="Other"), RealtimeAgent(name="Desk", tools=list(tools))]
    session = RealtimeSession.restore(stored, agents=agents, api_key=KEY, **POLICY)
    seen: list[Any] = []
    session.on("*", seen.append)
    before = len(talk.server.received)
    await session.connect(url=talk.server.url)
    await settle(session, talk.server)
    return session, (seen, talk.server.received[before:])


async def test_a_snapshot_is_json_without_secrets(talks: Talks):
    talk = await talked(talks)
    stored = json.dumps(talk.session.snapshot())
    for secret in ("key", KEY, talk.server.url, "Authorization", "Bearer"):
        assert f'"{secret}"' not in stored
    assert json.loads(stored)["agent"] == "Desk"


async def test_another_session_goes_on_with_the_history_as_heard(talks: Talks):
    talk = await talked(talks)
    history = list(talk.session.history)
    stored = json.dumps(talk.session.snapshot())
    session, (seen, told) = await resumed(talk, stored)
    items = [m["item"] for m in told if m["type"] == "conversation.item.create"]
    texts = [item["content"][0]["text"] for item in items]
    assert texts == ["How is Paris?", "aaaa bbbb"]
    assert [item["id"] for item in items] == [item.item_id for item in history]
    assert list(session.history) == history
    assert session.current_agent.name == "Desk"
    assert not [event for event in seen if isinstance(event, HistoryAdded)]
    assert not [m for m in told if m["type"] == "response.create"]
    await session.close()


async def test_a_call_that_nobody_answered_is_answered_by_the_other_session(talks: Talks):
    gate = asyncio.Event()

    @function_tool
    async def weather() -> str:
        await gate.wait()
        return "sunny"

    talk = await talked(talks, weather)
    await talk.starts("r2")
    await talk.calls("weather", response="r2")
    await talk.ends("r2")
    stored = talk.session.snapshot()
    gate.set()
    session, _ = await resumed(talk, stored, weather)
    await settle(session, talk.server)
    answer, asked = talk.server.received[-2:]
    assert answer["item"]["output"] == "sunny"
    assert asked["type"] == "response.create"
    await session.close()


async def test_an_approval_is_asked_for_again_by_the_other_session(talks: Talks):
    @function_tool(needs_approval=True)
    async def book() -> str:
        return "booked"

    talk = await talked(talks, book)
    await talk.starts("r2")
    await talk.calls("book", response="r2")
    await talk.ends("r2")
    stored = talk.session.snapshot()
    session, (seen, _) = await resumed(talk, stored, book)
    [asked] = [event for event in seen if isinstance(event, ToolApprovalRequested)]
    await session.approve(asked.approval)
    await settle(session, talk.server)
    assert talk.server.received[-2]["item"]["output"] == "booked"
    await session.close()


async def test_usage_goes_on(talks: Talks):
    talk = await talked(talks)
    await talk.starts("r2")
    await talk.ends("r2", usage={"input_tokens": 3, "output_tokens": 4})
    stored = talk.session.snapshot()
    session, _ = await resumed(talk, stored)
    assert session.usage.total_tokens == 7
    await session.close()


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({}, "session.snapshot"),
        ({"version": 99}, "version 99"),
        ({"version": 1, "agent": "Nobody", "model": None, "config": {}}, "Nobody"),
    ],
)
async def test_what_cannot_be_restored_is_refused(stored: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said):
        RealtimeSession.restore(stored, agents=[RealtimeAgent(name="Desk")], api_key=KEY)


async def test_a_session_that_does_not_connect_again_cannot_go_on():
    session = VirtualClock().session(RealtimeAgent(name="Desk"), api_key=KEY)
    stored = session.snapshot()
    with pytest.raises(ValueError, match="ReconnectPolicy"):
        RealtimeSession.restore(stored, agents=[session.initial_agent], api_key=KEY, reconnect=None)
