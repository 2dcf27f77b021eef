"""The agent begins the conversation where that is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stapes import RealtimeAgent, RealtimeSession, ReconnectPolicy

if TYPE_CHECKING:
    from tests.talk import Talks


@pytest.mark.parametrize(("first", "asked"), [("user", 0), ("agent", 1)])
async def test_a_response_is_asked_for_once_when_the_agent_speaks_first(
    talks: Talks, first: str, asked: int
):
    policy = ReconnectPolicy(first_delay=5, go_on=None)
    talk = await talks.begin(speaks_first=first, reconnect=policy)
    assert [m["type"] for m in talk.server.received] == [
        "session.update",
        *["response.create"] * asked,
    ]
    if asked:
        await talk.answers("r", "i", "Good day.", ms=100)
    talk.server.terminate()
    await talk.settle()
    await talk.after(5)
    assert talk.session.status == "connected"
    assert len(talk.sent("response.create")) == asked


async def test_nobody_else_speaks_first():
    agent = RealtimeAgent(name="Desk", instructions="x")
    with pytest.raises(ValueError, match="speaks_first is 'server': use 'user' or 'agent'"):
        RealtimeSession(agent, api_key="test", speaks_first="server")  # type: ignore[arg-type]
