"""A connection is replaced before its time is over, with providers that confirm in other ways."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agents import function_tool

from stapes import ConnectionChanged, Error, ReconnectPolicy, SessionRestored
from stapes.providers import XAI, Qwen
from tests.providers import accents

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.talk import Talks

MINUTE = ReconnectPolicy(max_session_duration=60, rollover_margin=10, go_on=None)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)


async def test_an_item_that_was_added_is_confirmed_where_nothing_follows(talks: Talks):
    talk = await talks.begin(provider=XAI(), reconnect=MINUTE)
    await talk.session.send_message("Is it open?", trigger_response=False)
    await talk.settle()
    written = talk.sent("conversation.item.create")[-1]["item"]
    await talk.says(*accents.XAI.item({"status": "completed", **written}, None))
    seen = len(talk.server.received)
    talk.clock.advance(52)
    await until(lambda: len(talk.server.received) >= seen + 2)
    told: list[dict[str, Any]] = talk.server.received[seen:]
    assert [message["type"] for message in told] == ["session.update", "conversation.item.create"]
    assert "turn_detection" in told[0]["session"]
    assert not talk.seen(SessionRestored)
    [added] = accents.XAI.item({"status": "completed", **told[1]["item"]}, None)
    await talk.server.send(added)
    await until(lambda: talk.seen(SessionRestored))
    assert talk.seen(Error) == []
    assert [item.item_id for item in talk.session.history] == [written["id"]]


async def test_instructions_tell_the_second_connection_and_what_has_changed_since(talks: Talks):
    talk = await talks.begin(provider=Qwen(), reconnect=MINUTE)
    await talk.says(*accents.QWEN.user("item_u", "Is it open?", None))
    first, seen = talk.server.current(), len(talk.server.received)
    # The user speaks when the time comes: no quiet moment.
    await talk.says({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0})
    talk.clock.advance(52)
    await until(lambda: len(talk.server.received) > seen)
    [told] = talk.server.received[seen:]
    assert told["session"]["instructions"] == "x\n\nThe user said: Is it open?"
    assert not talk.seen(SessionRestored)
    for event in accents.QWEN.user("item_v", "And today?", "item_u")[1:]:
        await first.send(event)
    # The server answers by itself when the user has spoken.
    await first.send(accents.QWEN.starts("r"))
    for event in accents.QWEN.has_spoken("r", "item_a", "It is."):
        await first.send(event)
    await until(lambda: talk.seen(SessionRestored))
    await until(lambda: len(talk.server.received) > seen + 1)
    late = talk.server.received[-1]["session"]["instructions"]
    assert late.startswith("x\n\nThe user said: Is it open?\nThe user said: And today?")
    assert late.endswith("You said: It is.")
    assert talk.seen(Error) == []
    changes = [change.status for change in talk.seen(ConnectionChanged)]
    assert changes == ["connecting", "connected"]


async def test_a_profile_says_how_long_a_connection_lasts(talks: Talks):
    """Where the server does not: two hours, and the user's own bound where that is shorter."""
    talk = await talks.begin(provider=Qwen(), reconnect=ReconnectPolicy())
    talk.clock.advance(7000)
    assert len(talk.server.handshakes) == 1
    talk.clock.advance(120)
    await until(lambda: len(talk.server.handshakes) == 2)


async def test_a_call_that_is_answered_after_a_loss_is_told_in_the_instructions(talks: Talks):
    gate = asyncio.Event()

    @function_tool
    async def hours() -> str:
        """When it is open."""
        await gate.wait()
        return "nine to five"

    policy = ReconnectPolicy(first_delay=5, go_on=None)
    talk = await talks.begin(hours, provider=Qwen(), reconnect=policy)
    await talk.says(accents.QWEN.starts("r"))
    await talk.says(*accents.QWEN.calls("r", "item_f", "hours", "{}"))
    talk.server.terminate()
    await talk.settle()
    seen = len(talk.server.received)
    await talk.after(5)
    gate.set()
    await talk.settle()
    kinds = [message["type"] for message in talk.server.received[seen:]]
    assert kinds == ["session.update", "session.update", "response.create"]
    first, then = (m["session"]["instructions"] for m in talk.server.received[seen : seen + 2])
    assert first == "x\n\nYou called hours with {}"
    assert then == f"{first}\nIt gave: nine to five"
    assert talk.seen(Error) == []


async def test_an_answer_that_is_cut_after_a_loss_is_told_as_it_was_heard(talks: Talks):
    policy = ReconnectPolicy(first_delay=0.1, go_on=None)
    talk = await talks.begin(provider=Qwen(), reconnect=policy)
    words = "We open at nine in the morning and close at five."
    await talk.says(accents.QWEN.starts("r"))
    await talk.says(*accents.QWEN.speaks("r", "item_a", words, bytes(96_000)))
    await talk.says(*accents.QWEN.has_spoken("r", "item_a", words))
    talk.server.terminate()
    await talk.settle()
    await talk.after(0.1)
    assert words in talk.server.received[-1]["session"]["instructions"]
    talk.clock.advance(0.5)
    await talk.session.interrupt()
    await talk.settle()
    told = talk.server.received[-1]["session"]["instructions"]
    said = talk.heard()["item_a"]
    assert told == f"x\n\nYou said: {said}"
    assert len(said) < len(words)
    assert not talk.sent("conversation.item.create")
    assert not talk.sent("conversation.item.delete")
