"""Callers who hang up at any moment: no failure of the application's."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from tests.calls.browser_page import BrowserPage
from tests.calls.test_browser_calls import in_an_app, listening
from tests.calls.test_twilio_calls import AGENT, until
from tests.calls.webrtc_page import WebRTCPage
from tests.session.rude import raw

from stapes import RealtimeSession
from stapes.calls import Call, CallEnded, WebRTCCall
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable


async def keep_silent(*_: object) -> None:
    """A model that takes connections, and never answers their handshake."""
    await asyncio.Event().wait()


class Answering:
    """Answers as the documentation shows, and keeps what came of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[Call] = []
        self.ended: list[CallEnded] = []

    async def __call__(self, call: Call) -> None:
        self.calls.append(call)
        call.on(CallEnded, self.ended.append)
        session = RealtimeSession(AGENT, call=call, api_key="test")
        await session.connect(url=self.url)
        await call.ended()


@pytest.mark.parametrize("serving", [listening, in_an_app])
async def test_a_caller_who_leaves_while_the_session_connects_is_no_failure(
    serving: Callable[..., Any], caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    async with raw(keep_silent) as url:
        answering = Answering(url)
        async with serving(answering) as served:
            async with BrowserPage(served) as page:
                await page.start()
                await until(lambda: answering.calls)
                await page.send({"type": "end"})
            await until(lambda: answering.ended)
            await until(lambda: "ended before its answer did" in caplog.text)
    assert answering.ended[0].by == "caller"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_page_over_webrtc_may_leave_then_as_well(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    async with raw(keep_silent) as url:
        answering = Answering(url)

        async def talk(call: WebRTCCall) -> None:
            async with call:
                await answering(call)

        call = WebRTCCall()
        async with WebRTCPage("") as page:
            answer = await call.answer(await page.offer(), local_address="127.0.0.1")
            talking = asyncio.create_task(talk(call))
            await page.accept(answer)
            page.begin()
            await until(lambda: answering.calls)
            page.send({"type": "end"})
            await asyncio.wait_for(talking, 20)
    assert "ended before its answer did" in caplog.text


async def test_an_answer_that_fails_for_another_reason_fails():
    async def answer(_: Call) -> None:
        raise RuntimeError("mine")

    async with ScriptedServer(), listening(answer) as served, BrowserPage(served) as page:
        await page.start()
        await page.until(lambda: page.told("error"))
