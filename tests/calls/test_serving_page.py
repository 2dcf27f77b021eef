"""The code of docs/serving.md serves a page whose calls are answered."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.calls.asgi_server import served
from tests.calls.browser_page import BrowserPage

import stapes
from stapes import RealtimeSession, WebSocketTransport
from stapes.devserver import DevServer, Options, ScriptedMind, ToneVoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def block(having: str) -> str:
    """The code of the page that has a text."""
    (found,) = [code for code in BLOCKS if having in code]
    return found


@pytest.fixture(autouse=True)
async def _model(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Sessions are with a development server, and begin by themselves."""
    async with DevServer(
        ScriptedMind(otherwise="Hello."), ToneVoice(), Options(pace=None)
    ) as model:
        transport = WebSocketTransport(url=model.url)
        reached = partial(RealtimeSession, api_key="any", transport=transport)

        def session(agent: Any, **options: Any) -> RealtimeSession:
            return reached(agent, **{"speaks_first": "agent", **options})

        monkeypatch.setattr(stapes, "RealtimeSession", session)
        yield


async def is_answered(port: int) -> None:
    """The page and what it loads are there, and a call is answered."""
    base = f"http://127.0.0.1:{port}"
    html, kind = await get(f"{base}/")
    assert kind.startswith("text/html")
    script, kind = await get(f"{base}/stapes.js")
    assert kind.startswith("text/javascript")
    assert "VoiceCall" in script
    assert "stapes.js" in html
    with pytest.raises(urllib.error.HTTPError, match="404"):
        await get(f"{base}/none.js")
    async with BrowserPage(f"ws://127.0.0.1:{port}/talk") as page:
        await page.start()
        await page.until(lambda: len(page.heard) > 4_800)
        await page.send({"type": "end"})


async def get(url: str) -> tuple[str, str]:
    def read() -> tuple[str, str]:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode(), answer.headers["content-type"]

    return await asyncio.to_thread(read)


async def test_the_listener_serves_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    code = block("calls.run(drain=30)").replace("port=8000", "port=0")
    made: dict[str, Any] = {}
    exec(code.replace("calls.run(drain=30)", "..."), made)
    async with made["calls"] as calls:
        await is_answered(calls.port)
        calls.stop()
        await calls.until_stopped(drain=10)
    assert "ended by: caller" in capsys.readouterr().out


@pytest.mark.parametrize("having", ["from fastapi import", "from starlette.applications import"])
async def test_an_app_serves_a_page(having: str) -> None:
    made: dict[str, Any] = {}
    exec(block(having), made)
    async with served(made["app"]) as port:
        await is_answered(port)
