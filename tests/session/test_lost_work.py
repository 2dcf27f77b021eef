"""What a lost connection had under way, and no other one can go on with, ends in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stapes import Error, ReconnectPolicy, ResponseDone, SessionRestored, ToolApprovalRequested

if TYPE_CHECKING:
    from tests.talk import Talk, Talks

GAP = ReconnectPolicy(first_delay=5, go_on=None)
OUT_OF_BAND: dict[str, Any] = {"conversation_id": None, "metadata": {"topic": "mood"}}
REQUEST = {
    "id": "m1",
    "type": "mcp_approval_request",
    "server_label": "docs",
    "name": "search",
    "arguments": "{}",
}


async def loses(talk: Talk) -> None:
    talk.server.terminate()
    await talk.settle()


@pytest.mark.parametrize("reconnect", [GAP, None])
async def test_a_response_out_of_band_ends_with_its_connection(talks: Talks, reconnect: Any):
    talk = await talks.begin(reconnect=reconnect)
    await talk.starts("first", **OUT_OF_BAND)
    await talk.starts("second", conversation_id=None)
    await talk.starts("over", conversation_id=None)
    await talk.ends("over", conversation_id=None, status="completed")
    await loses(talk)
    over, first, second = talk.seen(ResponseDone)
    assert over.status == "completed"
    for done, name, metadata in ((first, "first", {"topic": "mood"}), (second, "second", None)):
        assert (done.response_id, done.out_of_band, done.metadata) == (name, True, metadata)
        assert done.status == "incomplete"
        assert done.status_details["reason"] == "connection_lost"
    if reconnect is not None:
        asked = len(talk.sent("response.create"))
        await talk.after(5)
        assert talk.session.status == "connected"
        assert len(talk.sent("response.create")) == asked, "it is the user's to ask again"


async def begin_asking(talks: Talks, policy: ReconnectPolicy) -> tuple[Talk, Any]:
    talk = await talks.begin(reconnect=policy)
    await talk.says({"type": "conversation.item.done", "item": REQUEST})
    [asked] = talk.seen(ToolApprovalRequested)
    return talk, asked.approval


async def test_an_approval_of_a_hosted_call_is_said_to_be_lost_with_its_connection(talks: Talks):
    talk, approval = await begin_asking(talks, GAP)
    await loses(talk)
    [error] = talk.seen(Error)
    assert "m1" in str(error.error)
    assert "send_message" in str(error.error)
    await talk.after(5)
    await talk.session.approve(approval)
    await talk.settle()
    items = [message["item"]["type"] for message in talk.sent("conversation.item.create")]
    assert "mcp_approval_response" not in items


async def test_a_rollover_waits_for_the_approval_of_a_hosted_call(talks: Talks):
    policy = ReconnectPolicy(max_session_duration=60, rollover_margin=10, go_on=None)
    talk, approval = await begin_asking(talks, policy)
    before = len(talk.server.received)
    first = talk.server.current()
    talk.clock.advance(52)
    await talk.server.receive(before + 2)
    await talk.settle()
    assert not talk.seen(SessionRestored)
    await talk.session.approve(approval)
    await talk.settle()
    # The first one knows the request; then nothing is waited for.
    sent = talk.sent("conversation.item.create")
    assert [message["item"]["type"] for message in sent] == ["mcp_approval_response"]
    assert first is not talk.server.current()
    [restored] = talk.seen(SessionRestored)
    assert restored.reason == "rollover"
    assert not talk.seen(Error)
