"""What a page is told of tools that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool
from tests.calls.browser_page import BrowserPage
from tests.calls.test_browser_calls import listening
from tests.calls.test_twilio_calls import until

from stapes import Error, RealtimeAgent, RealtimeSession
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from stapes.calls import Call


@function_tool
async def told() -> str:
    """Raises; the model is told what."""
    raise ValueError("sk-1: no such city")


@function_tool(failure_error_function=None)
async def untold() -> str:
    """Raises; the model is told that something did."""
    raise ValueError("sk-1: no such city")


AGENT: RealtimeAgent[Any] = RealtimeAgent(name="Front desk", tools=[told, untold])


async def call_tool(model: ScriptedServer, name: str, arguments: str = "{}") -> None:
    call = {"id": "f", "type": "function_call", "name": name, "call_id": "c"}
    call |= {"arguments": arguments, "status": "completed"}
    await model.send({"type": "response.created", "response": {"id": "r1"}})
    await model.send({"type": "response.output_item.done", "response_id": "r1", "item": call})
    await model.send({"type": "response.done", "response": {"id": "r1", "output": [call]}})


@pytest.mark.parametrize(
    ("name", "arguments", "told_before"),
    [
        ("told", "{}", ["started"]),
        ("untold", "{}", ["started"]),
        ("told", "{", []),
        ("unknown", "{}", []),
    ],
)
async def test_a_page_is_told_once_that_a_tool_failed_and_not_why(name, arguments, told_before):
    errors: list[Error] = []
    async with ScriptedServer() as model:

        async def answer(call: Call) -> None:
            session = RealtimeSession(AGENT, call=call, api_key="test")
            session.on("error", errors.append)
            await session.connect(url=model.url)
            await call.ended()
            await session.close()

        async with listening(answer) as url, BrowserPage(url) as page:
            await page.start()
            await page.until(lambda: bool(page.told("agent")))
            await call_tool(model, name, arguments)
            # The model gets an answer, after everything that the page is told.
            await until(lambda: any(m["type"] == "response.create" for m in model.received))
            await page.until(lambda: len(page.told("tool")) > len(told_before))
            await model.send({"type": "response.created", "response": {"id": "r2"}})
            await page.until(lambda: page.told("state")[-1]["state"] == "thinking")
            statuses = [(tool["name"], tool["status"]) for tool in page.told("tool")]
            assert statuses == [(name, status) for status in (*told_before, "failed")]
            assert "no such city" not in str(page.messages)
    assert [error.tool_call and error.tool_call.call_id for error in errors] == ["c"]
