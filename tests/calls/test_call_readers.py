"""Readers of a call's events: `async for event in call`."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from tests.calls.test_call_callbacks import press
from tests.calls.test_call_endings import called

from stapes.calls import CallEnded, Dtmf

if TYPE_CHECKING:
    import pytest

MOST_WAITING = 1000
"""Events that a reader may leave unread."""


async def test_a_loop_that_breaks_leaves_nothing_that_collects_events() -> None:
    async with called() as (call, socket):
        for _ in range(3):
            socket.say(json.dumps(KEY))
            async with asyncio.timeout(5):
                async for event in call:
                    assert event == Dtmf("1", None)
                    break
        assert len(call._readers) == 0


async def test_a_reader_that_leaves_too_much_unread_is_told_once_that_it_loses_events(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "stapes.calls"):
        async with called() as (call, socket):
            reader = aiter(call)
            assert call.id == "CA1"
            await press(call, socket, "1" * MOST_WAITING)
            assert caplog.records == []
            await press(call, socket, "23")
            assert [record.getMessage() for record in caplog.records] == [
                "<Call twilio CA1 standing>: 1000 events wait for a reader, and from now on the "
                "oldest are lost: read them sooner, or use call.on(...)"
            ]
            kept = [await anext(reader) for _ in range(MOST_WAITING)]
    assert [event.digit for event in kept[-3:]] == ["1", "2", "3"]  # type: ignore[union-attr]


async def test_a_reader_made_when_the_end_is_known_and_not_told_yet_gets_it() -> None:
    async with called() as (call, _):
        call.hang_up()
        assert call.is_over
        async with asyncio.timeout(5):
            events = [event async for event in call]
            assert [type(event) for event in events] == [CallEnded]
            assert [event async for event in call] == []


KEY: Any = {
    "event": "dtmf",
    "streamSid": "MZ1",
    "dtmf": {"track": "inbound_track", "digit": "1"},
}
