"""Who calls while the code of a page runs: a phone, a web page, or a plain request.

A `CallServer` of the page listens on a port that the system chooses. Where the page makes an ASGI
app instead, it is called `app`, and is served here.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
import traceback
import urllib.request
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stapes.calls import TOKEN_PARAMETER, CallServer, CallTokens

sys.path.append(str(Path(__file__).parents[1] / "calls"))

from asgi_server import served
from browser_page import BrowserPage
from twilio_phone import FRAME, TwilioPhone
from websockets.asyncio.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["called"]

SECONDS = 15.0
_MEDIA: Any = "media"
SILENCE = b"\xff" * FRAME * 50


def called(run: Callable[[], None], how: str, names: dict[str, Any]) -> None:
    """Runs code, and calls the server that it starts, or the app that it makes.

    Args:
        run: the code.
        how: callers and paths, such as `twilio /phone` or `page /talk, get /`.
        names: what the page has made.

    Raises:
        AssertionError: nobody answered as expected.
    """
    servers = _recorded_servers()
    outcome: list[BaseException | None] = []
    has_run = threading.Event()

    def call() -> None:
        try:
            asyncio.run(_call(servers, has_run, how, names))
            outcome.append(None)
        except BaseException as error:
            traceback.print_exc()
            outcome.append(error)
        if not has_run.is_set():
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    run()
    has_run.set()
    thread.join(SECONDS + 5)
    if not outcome or outcome[0] is not None:
        raise AssertionError(f"{how}: {outcome or 'the call does not end'}")


def _recorded_servers() -> list[CallServer]:
    """The servers that are made from now on, on ports of the system's choice."""
    servers: list[CallServer] = []
    makes = CallServer.__init__

    @wraps(makes)
    def made(self: CallServer, **options: Any) -> None:
        makes(self, **{**options, "port": 0})
        servers.append(self)

    CallServer.__init__ = made  # type: ignore[method-assign]
    return servers


async def _call(
    servers: list[CallServer], has_run: threading.Event, how: str, names: dict[str, Any]
) -> None:
    latest = time.monotonic() + SECONDS
    while time.monotonic() < latest:
        for server in servers:
            if server.port:
                return await _call_all(server.port, how, names)
        if has_run.is_set() and not servers:
            async with served(names["app"]) as port:
                return await _call_all(port, how, names)
        await asyncio.sleep(0.02)
    raise TimeoutError("no server listens")


async def _call_all(port: int, how: str, names: dict[str, Any]) -> None:
    for call in how.split(", "):
        who, path = call.split()
        await _CALLERS[who](port, path, names)


async def _twilio(port: int, path: str, names: dict[str, Any]) -> None:
    tokens = [made for made in names.values() if isinstance(made, CallTokens)]
    parameters = {TOKEN_PARAMETER: tokens[0].mint(path)} if tokens else {}
    async with TwilioPhone(f"ws://127.0.0.1:{port}{path}", **parameters) as phone:
        await phone.start()
        await phone.say(SILENCE)
        try:
            await phone.until(lambda: len(phone.heard) > 4_000)
        except TimeoutError:
            state = (
                f"heard {len(phone.heard)} bytes, closed: {phone.close_code}, {phone.frames[-3:]}"
            )
            raise AssertionError(state) from None
        await phone.hang_up()


async def _asterisk(port: int, path: str, names: dict[str, Any]) -> None:
    async with connect(f"ws://127.0.0.1:{port}{path}", subprotocols=[_MEDIA]) as asterisk:
        started = "MEDIA_START connection_id:c1 channel:WebSocket/agent/0x1 channel_id:1.2"
        await asterisk.send(f"{started} format:slin16 optimal_frame_size:640 ptime:20")
        async with asyncio.timeout(SECONDS):
            while not isinstance(await asterisk.recv(), bytes):
                pass


async def _page(port: int, path: str, names: dict[str, Any]) -> None:
    async with BrowserPage(f"ws://127.0.0.1:{port}{path}") as page:
        await page.start()
        await page.until(lambda: len(page.heard) > 4_800)
        await page.send({"type": "end"})


async def _get(port: int, path: str, names: dict[str, Any]) -> None:
    def get() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            assert answer.read()

    await asyncio.to_thread(get)


_CALLERS: dict[str, Callable[[int, str, dict[str, Any]], Any]] = {
    "twilio": _twilio,
    "asterisk": _asterisk,
    "page": _page,
    "get": _get,
}
