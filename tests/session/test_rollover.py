"""A connection is replaced before its time is over, at a quiet moment, without a gap."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agents import function_tool

from stapes import (
    AgentHandoff,
    AgentStart,
    AgentToolEnd,
    AgentToolStart,
    AudioInterrupted,
    ConnectionChanged,
    Error,
    HistoryAdded,
    RealtimeAgent,
    ReconnectPolicy,
    SessionRestored,
    ToolApprovalRequested,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.talk import Talk, Talks

    from stapes.testing import ScriptedServer

MINUTE = ReconnectPolicy(max_session_duration=60, rollover_margin=10, go_on=None)
"""Between 50 and 52 seconds a quiet moment is awaited, until 58."""


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


async def begin(talks: Talks, policy: ReconnectPolicy = MINUTE) -> Talk:
    talk = await talks.begin(reconnect=policy)
    await talk.session.send_message("How is Paris?", trigger_response=False)
    await talk.settle()
    await confirm(talk.server, talk.sent("conversation.item.create")[-1]["item"])
    await talk.settle()
    return talk


async def confirm(server: ScriptedServer, item: dict[str, Any]) -> None:
    for kind in ("added", "done"):
        await server.send(
            {"type": f"conversation.item.{kind}", "previous_item_id": None, "item": item}
        )


async def second(talk: Talk, creates: int = 1) -> list[dict[str, Any]]:
    """Lets the time come, and gives what the second connection is told: so many items."""
    known, before = len(talk.server.handshakes), len(talk.server.received)
    talk.clock.advance(52)
    await until(lambda: len(talk.server.handshakes) > known)
    await until(lambda: len(talk.server.received) >= before + 2 + creates)
    return talk.server.received[before:]


async def test_the_second_connection_is_told_everything_and_takes_over(talks: Talks):
    talk = await begin(talks)
    told = await second(talk)
    assert [message["type"] for message in told] == [
        "session.update",
        "session.update",
        "conversation.item.create",
    ]
    assert told[0] == talk.server.received[0]
    assert not talk.seen(SessionRestored)
    await confirm(talk.server, told[2]["item"])
    await until(lambda: talk.seen(SessionRestored))
    [restored] = talk.seen(SessionRestored)
    assert (restored.reason, restored.gap, restored.items) == ("rollover", 0.0, 1)
    assert [change.status for change in talk.seen(ConnectionChanged)] == ["connecting", "connected"]
    assert len(talk.seen(HistoryAdded)) == 1
    # The conversation goes on over it.
    await talk.server.send({"type": "response.created", "response": {"id": "r"}})
    await talk.settle()
    assert talk.session.status == "connected"
    assert not talk.seen(Error)


async def test_it_takes_over_when_the_turn_is_over_and_learns_what_changed(talks: Talks):
    talk = await begin(talks)
    first = talk.server.current()
    told = await second(talk)
    # The first one answers still.
    await first.send({"type": "response.created", "response": {"id": "r"}})
    await until(lambda: talk.seen(AgentStart))
    before = len(talk.server.received)
    await confirm(talk.server, told[2]["item"])
    await asyncio.sleep(0.05)
    assert not talk.seen(SessionRestored)
    part = {"type": "output_text", "text": "Sunny."}
    answer = {"id": "i", "type": "message", "role": "assistant", "content": [part]}
    await first.send({"type": "response.output_item.done", "response_id": "r", "item": answer})
    await first.send({"type": "response.done", "response": {"id": "r", "output": [answer]}})
    await until(lambda: talk.seen(SessionRestored))
    await until(lambda: len(talk.server.received) > before)
    [late] = talk.server.received[before:]
    assert late["item"]["content"] == [part]
    assert late["previous_item_id"] == told[2]["item"]["id"]
    await confirm(talk.server, late["item"])
    await talk.settle()
    assert [item.text for item in talk.session.history] == ["How is Paris?", "Sunny."]


async def test_a_turn_that_lasts_too_long_is_cut_and_counted(talks: Talks):
    talk = await begin(talks)
    await talk.starts()
    told = await second(talk)
    await confirm(talk.server, told[2]["item"])
    talk.clock.advance(6)
    await until(lambda: talk.seen(SessionRestored))
    assert talk.seen(SessionRestored)[-1].reason == "expired"
    statuses = [change.status for change in talk.seen(ConnectionChanged)]
    assert statuses[-2:] == ["reconnecting", "connected"]
    assert talk.session.stats().cut_turns == 1


async def test_a_second_connection_that_is_refused_is_made_again(talks: Talks):
    talk = await begin(talks, ReconnectPolicy(max_session_duration=60, rollover_margin=30))
    talk.server.refuse(503)
    talk.clock.advance(36)
    await until(lambda: talk.session.stats().failed_attempts == 1)
    talk.server.refuse(None)
    before = len(talk.server.received)
    talk.clock.advance(5)
    await until(lambda: len(talk.server.received) == before + 4)
    for message in talk.server.received[before + 2 :]:
        await confirm(talk.server, message["item"])
    await until(lambda: talk.seen(SessionRestored))
    assert talk.seen(SessionRestored)[-1].reason == "rollover"


async def test_a_second_connection_that_begins_with_an_error_is_made_again(talks: Talks):
    talk = await begin(talks, ReconnectPolicy(max_session_duration=60, rollover_margin=30))
    talk.server.begin_with({"type": "error", "error": {"code": "server_error", "message": "No."}})
    talk.clock.advance(36)
    await until(lambda: talk.session.stats().failed_attempts == 1)
    talk.server.begin_with({"type": "session.created", "session": {}})
    before = len(talk.server.received)
    talk.clock.advance(5)
    await until(lambda: len(talk.server.received) == before + 4)
    for message in talk.server.received[before + 2 :]:
        await confirm(talk.server, message["item"])
    await until(lambda: talk.seen(SessionRestored))
    assert talk.seen(SessionRestored)[-1].reason == "rollover"
    assert talk.session.status == "connected"


@function_tool(needs_approval=True)
async def weather(city: str = "Paris") -> str:
    return f"sunny in {city}"


async def hour(talks: Talks, policy: ReconnectPolicy) -> dict[str, Any]:
    """An hour with an approval that is given at its end, a handoff, and an answer each minute."""
    other = RealtimeAgent(name="Other", instructions="y")
    talk = await talks.begin(weather, handoffs=[other], reconnect=policy)
    await talk.session.send_message("How is Paris?", trigger_response=False)
    await talk.settle()
    await confirm(talk.server, talk.sent("conversation.item.create")[-1]["item"])
    await talk.starts("asks")
    await talk.calls("weather", call="w", response="asks")
    await talk.ends("asks")
    for minute in range(60):
        if minute == 20:
            await talk.starts("hands")
            await talk.calls("transfer_to_Other", call="h", response="hands")
            await talk.ends("hands")
        usage = {"input_tokens": minute, "output_tokens": 2, "total_tokens": minute + 2}
        await talk.starts(f"minute {minute}")
        await talk.ends(f"minute {minute}", usage=usage)
        if policy.max_session_duration is None:
            await talk.after(52)
            continue
        wanted = [item.item_id for item in talk.session.history]
        told = await second(talk, creates=len(wanted) + (minute >= 20))
        creates = [m["item"] for m in told if m["type"] == "conversation.item.create"]
        assert [item["id"] for item in creates if item["id"] in wanted] == wanted
        for item in creates:
            await confirm(talk.server, item)
        await until(lambda seen=minute + 1: len(talk.seen(SessionRestored)) == seen)
    [asked] = talk.seen(ToolApprovalRequested)
    await talk.session.approve(asked.approval)
    await talk.settle()
    kinds = (HistoryAdded, AgentHandoff, AgentToolStart, AgentToolEnd, AgentStart, Error)
    assert talk.session.stats().reconnects == 0
    history = list(talk.session.history)
    await talk.session.close()
    await talk.settle()
    return {
        # The first item's id is the session's own.
        "history": [history[0].text, *history[1:]],
        "usage": (talk.session.usage.requests, talk.session.usage.total_tokens),
        "agent": talk.session.current_agent.name,
        "order": talk.order(*kinds, ToolApprovalRequested, AudioInterrupted),
        "outputs": talk.outputs()[-1:],
        "rollovers": talk.session.stats().rollovers,
    }


async def test_an_hour_of_rollovers_changes_nothing(talks: Talks):
    rolled, plain = await hour(talks, MINUTE), await hour(talks, ReconnectPolicy(go_on=None))
    assert (rolled.pop("rollovers"), plain.pop("rollovers")) == (60, 0)
    assert rolled == plain
    assert rolled["agent"] == "Other"
    assert rolled["outputs"] == ["sunny in Paris"]
    assert rolled["usage"][1] == sum(minute + 2 for minute in range(60))
    assert "Error" not in rolled["order"]


async def test_an_agent_that_takes_charge_meanwhile_is_in_charge_of_the_second_connection(
    talks: Talks,
):
    billing = RealtimeAgent(name="Billing", instructions="You do bills.")
    talk = await talks.begin(reconnect=MINUTE, handoffs=[billing])
    first = talk.server.current()
    before = len(talk.server.received)
    await first.send({"type": "response.created", "response": {"id": "r"}})
    await talk.settle()
    told = await second(talk, creates=0)
    assert told[0]["session"]["instructions"] == "x"
    item = {"id": "f", "type": "function_call", "call_id": "c", "name": "transfer_to_Billing"}
    done = {**item, "status": "completed", "arguments": "{}"}
    await first.send({"type": "response.output_item.done", "response_id": "r", "item": done})
    await first.send({"type": "response.done", "response": {"id": "r", "output": [done]}})
    await until(lambda: talk.seen(AgentHandoff))
    await until(lambda: talk.sent("response.create"))
    await first.send({"type": "response.created", "response": {"id": "s"}})
    await first.send({"type": "response.done", "response": {"id": "s", "output": []}})
    await until(lambda: talk.seen(SessionRestored))
    await talk.settle()
    updates = [m["session"] for m in talk.server.received[before:] if m["type"] == "session.update"]
    given = [update["instructions"] for update in updates if "instructions" in update]
    assert given == ["x", "You do bills.", "You do bills."], "the last over the second connection"
    assert not talk.seen(Error)
