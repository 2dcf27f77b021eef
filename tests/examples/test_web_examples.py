"""The examples with pages: a page of one's own, and a person who approves in another page."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.calls.asgi_server import served
from tests.cli.page_caller import PageCaller
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from stapes.testing import Call, ScriptedMind, Turn

KEY = "key of the staff"
REFUND = ScriptedMind(
    [
        Turn(when="refund", call=Call("refund", {"booking_id": "471", "amount": 40})),
        Turn(after="refund", say="Well: {output}"),
    ]
)


async def test_the_page_of_one_s_own_is_served_and_its_order_grows(
    model: Any, example: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "0")
    order = Call("add_to_order", {"dish": "ramen", "count": 2})
    mind = ScriptedMind(
        [
            Turn(when="noodles", call=order),
            Turn(after="add_to_order", say="{output}"),
            Turn(when="pay", say="Cash or card?"),
        ],
        otherwise="Good evening.",
    )
    await model(mind)
    module = example("browser/server")
    async with module.calls as calls:
        html = await body(calls.port, "/")
        assert b'src="app.js"' in html
        assert b"VoiceCall" in await body(calls.port, "/stapes.js")
        async with PageCaller(f"ws://127.0.0.1:{calls.port}/talk") as page:
            await page.until(lambda: "Good evening." in page.said("assistant"))
            await page.write("Two bowls of noodles.")
            sent = {"dish": "ramen", "count": 2}
            await page.until(lambda: {"type": "message", "data": sent} in page.messages)
            await page.until(lambda: "2 ramen on the order." in page.said("assistant"))
            await page.send({"type": "message", "data": {"pay": True}})
            await page.until(lambda: "Cash or card?" in page.said("assistant"))


async def body(port: int, path: str) -> bytes:
    """What a browser gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())
    writer.write(b"Connection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer[:80]
    return answer


@pytest.fixture
async def desk(model: Any, example: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("STAFF_KEY", KEY)
    await model(REFUND)
    return example("approval/desk")


@pytest.mark.parametrize(
    ("allow", "heard"),
    [(True, "Well: 40 dollars were refunded"), (False, "Well: A colleague has declined it.")],
)
async def test_a_guest_hears_what_the_staff_have_decided(desk: Any, allow: bool, heard: str):
    async with (
        served(desk.app) as port,
        connect(f"ws://127.0.0.1:{port}/staff/requests") as staff,
        PageCaller(f"ws://127.0.0.1:{port}/talk") as guest,
    ):
        await staff.send(json.dumps({"key": KEY}))
        assert json.loads(await staff.recv()) == []
        await guest.until(lambda: guest.agents)
        await guest.write("I want a refund.")
        async with asyncio.timeout(10):
            [asked] = json.loads(await staff.recv())
        assert asked["tool"] == "refund"
        assert json.loads(asked["arguments"]) == {"booking_id": "471", "amount": 40}
        await guest.until(lambda: ("refund", "waiting") in guest.tools)
        await staff.send(json.dumps({"id": asked["id"], "allow": allow}))
        await guest.until(lambda: any(text.startswith(heard) for text in guest.said("assistant")))
        async with asyncio.timeout(10):
            assert json.loads(await staff.recv()) == []


async def test_a_request_that_nobody_decides_on_is_turned_down(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "PATIENCE", 0.05)
    async with (
        served(desk.app) as port,
        PageCaller(f"ws://127.0.0.1:{port}/talk") as guest,
    ):
        await guest.until(lambda: guest.agents)
        await guest.write("I want a refund.")
        await guest.until(lambda: "Well: Nobody could be" in " ".join(guest.said("assistant")))
    assert desk.board.listed() == []


async def test_strangers_see_no_requests(desk: Any) -> None:
    async with served(desk.app) as port:
        assert b"key of the staff" in await body(port, "/staff")
        async with connect(f"ws://127.0.0.1:{port}/staff/requests") as stranger:
            await stranger.send(json.dumps({"key": "a guess"}))
            with pytest.raises(ConnectionClosed):
                await stranger.recv()
            assert stranger.close_code == 4403
