"""Answers that raise: the caller is told, whatever it is that they raise."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from tests.calls.browser_page import BrowserPage
from tests.calls.test_browser_calls import listening
from tests.calls.test_twilio_calls import url_of
from tests.calls.twilio_phone import FRAME, TwilioPhone

from stapes.audio import Recording
from stapes.calls import BrowserCall, Call, CallServer


class Odd(BaseException):
    """What a native extension raises when it panics."""


either = pytest.mark.parametrize("kind", [RuntimeError, asyncio.CancelledError, Odd])


@either
async def test_an_answer_that_raises_is_logged_and_the_caller_hears_the_apology(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    server = CallServer(port=0, apology=Recording(bytes(16 * 100), sample_rate=8000))

    @server.twilio("/twilio")
    async def answer(call: Call) -> None:
        raise kind("no desk is there")

    with caplog.at_level(logging.ERROR, "stapes.calls"):
        async with server, TwilioPhone(url_of(server)) as phone:
            await phone.start()
            await phone.until(lambda: len(phone.heard) >= 5 * FRAME)
    (record,) = [record for record in caplog.records if "the answer of call" in record.getMessage()]
    assert record.exc_info is not None
    assert record.exc_info[0] is kind


@either
async def test_the_page_of_an_answer_that_raises_is_told(kind: type[BaseException]) -> None:
    async def answer(call: Call) -> None:
        raise kind("no desk is there")

    async with listening(answer) as url, BrowserPage(url) as page:
        await page.start()
        await page.until(lambda: page.close_code is not None)
        assert [one["message"] for one in page.told("error")] == ["The agent cannot be reached."]


@either
async def test_the_page_of_an_answer_that_raises_in_an_app_is_told(
    kind: type[BaseException],
) -> None:
    socket = Page()
    with pytest.raises(kind):
        async with BrowserCall(socket):
            raise kind("no desk is there")
    assert "The agent cannot be reached." in str(socket.sent)


class Page:
    """The WebSocket of an app whose far end has begun a call."""

    headers = {"host": "localhost"}  # noqa: RUF012

    def __init__(self) -> None:
        self.sent: list[Any] = []
        start = {
            "type": "start",
            "call_id": "a-page-of-this-test",
            "codec": "pcm",
            "sample_rate": 24_000,
            "parameters": {},
        }
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.receive", "text": json.dumps(start)})

    async def accept(self, subprotocol: str | None = None) -> None:
        """Answers the handshake."""

    async def receive(self) -> Any:
        """The next message."""
        return await self._inbox.get()

    async def send(self, message: Any) -> None:
        """Takes a message of the app's."""
        self.sent.append(message)
        if message["type"] == "websocket.close":
            self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
