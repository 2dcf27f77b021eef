"""Attempts to connect again that fail when the connection stands already: each is one failure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from stapes import ReconnectPolicy, SessionRestored, WebSocketTransport

if TYPE_CHECKING:
    from tests.talk import Talk, Talks

POLICY = ReconnectPolicy(first_delay=1, base_delay=1, max_delay=1, jitter=0, go_on=None)


async def at_attempt(talk: Talk, number: int) -> None:
    """That attempt has been made, and has failed; the next one waits for its time."""
    async with asyncio.timeout(5):
        while talk.session.stats().failed_attempts < number:
            talk.clock.advance(1)
            await asyncio.sleep(0.005)
    await talk.settle()


@pytest.mark.parametrize("closes", [True, False])
async def test_an_attempt_that_the_server_answers_with_an_error_fails_once(
    talks: Talks, *, closes: bool
):
    talk = await talks.begin(reconnect=POLICY)
    expired = {"code": "session_expired", "message": "60 minutes"}
    talk.server.begin_with({"type": "error", "error": expired})
    talk.server.terminate()
    await talk.settle()
    await at_attempt(talk, 1)
    if closes:
        await talk.server.close(1001)
        await talk.settle()
    assert talk.session.stats().failed_attempts == 1
    assert talk.session.status == "reconnecting"
    talk.server.begin_with({"type": "conversation.created"})
    await talk.after(1)
    assert talk.session.status == "connected"
    assert len(talk.seen(SessionRestored)) == 1


async def test_an_attempt_on_which_the_server_never_begins_fails_once(talks: Talks):
    transport = WebSocketTransport(first_event_timeout=0.05)
    talk = await talks.begin(reconnect=POLICY, transport=transport)
    talk.server.begin_with(None)
    talk.server.terminate()
    await talk.settle()
    await at_attempt(talk, 1)
    assert talk.session.stats().failed_attempts == 1
    assert talk.session.status == "reconnecting"
    talk.server.begin_with({"type": "conversation.created"})
    await talk.after(1)
    assert talk.session.status == "connected"
