"""What happens before the first reader, in sessions that are coupled with a call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.calls.browser_page import BrowserPage
from tests.calls.test_browser_calls import listening
from tests.calls.test_call_endings import called, respond
from tests.calls.test_twilio_calls import AGENT

from stapes import Audio, RealtimeSession, ResponseDone
from stapes.calls import Call, CallOptions
from stapes.testing import ScriptedServer, settle

if TYPE_CHECKING:
    from collections.abc import Callable


async def first_read(model: ScriptedServer, call: Call) -> list[type]:
    """What a reader gets that begins when an answer is over, up to the answer's end."""
    session: RealtimeSession[Any] = RealtimeSession(AGENT, call=call, api_key="test")
    await session.connect(url=model.url)
    await respond(model, 1)
    await settle(session, model)
    read: list[type] = []
    async with asyncio.timeout(5):
        async for event in session.events(Audio, ResponseDone):
            read.append(type(event))
            if isinstance(event, ResponseDone):
                break
    await session.close()
    return read


async def test_it_is_kept_where_the_tokens_of_the_call_are_counted() -> None:
    async with ScriptedServer() as model, called(CallOptions(max_tokens=100)) as (call, _):
        # Its caller hears the sound: it is not kept as well.
        assert await first_read(model, call) == [ResponseDone]


async def test_it_is_kept_where_a_page_is_told_of_the_conversation() -> None:
    read: list[Any] = []
    async with ScriptedServer() as model:

        async def answer(call: Call) -> None:
            read.append(await first_read(model, call))

        async with listening(answer) as url, BrowserPage(url) as page:
            await page.start()
            await page.until(lambda: page.close_code is not None)
    assert read == [[ResponseDone]]


def on(session: RealtimeSession[Any], got: list[Any]) -> None:
    session.on("response_done", got.append)


def events(session: RealtimeSession[Any], _: list[Any]) -> None:
    session.events(ResponseDone).close()


@pytest.mark.parametrize("listen", [on, events])
async def test_it_is_kept_no_longer_once_the_application_listens(
    listen: Callable[[RealtimeSession[Any], list[Any]], None],
) -> None:
    got: list[Any] = []
    async with ScriptedServer() as model, called(CallOptions(max_tokens=100)) as (call, _):
        session: RealtimeSession[Any] = RealtimeSession(AGENT, call=call, api_key="test")
        listen(session, got)
        await session.connect(url=model.url)
        listen(session, got)
        await respond(model, 1)
        await settle(session, model)
        reader = session.events(ResponseDone)
        await session.close()
        assert [event async for event in reader] == []
