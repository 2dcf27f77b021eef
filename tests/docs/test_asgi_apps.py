"""The app of `docs/how-to/asgi-apps.md` on a real uvicorn: who may call, limits, SIGTERM."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from stapes.calls import TOKEN_PARAMETER
from stapes.cli.serve.reloading import hold_port
from tests.calls.browser_page import BrowserPage
from tests.calls.twilio_phone import FRAME, TwilioPhone
from tests.calls.webrtc_page import WebRTCPage, request
from tests.docs.pages import DOCS, ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from tests.calls.webrtc_page import Posted

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(sys.platform == "win32", reason="signals"),
]

SECONDS = 20.0
AUTH_TOKEN = "0123456789abcdef"


class Served:
    """The app under way.

    Attributes:
        process: uvicorn.
        host: name and port.
        log: the file of what it says.
    """

    def __init__(self, process: subprocess.Popen[bytes], host: str, log: Path) -> None:
        self.process, self.host, self._log = process, host, log

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self._log.read_text("utf-8")

    async def token(self) -> str:
        """A token for a page."""
        answer = await self.post("/token")
        assert answer.status == 200
        return answer.body

    async def post(self, path: str, body: str = "", **headers: str) -> Posted:
        """Posts something."""
        return await request("POST", f"http://{self.host}{path}", body, headers)

    async def page(self, **options: str) -> BrowserPage:
        """A page that has a token."""
        return BrowserPage(f"ws://{self.host}/talk", stapes_token=await self.token(), **options)

    async def says(self, text: str) -> None:
        """Waits until it has said something."""
        async with asyncio.timeout(SECONDS):
            while text not in self.said:
                await asyncio.sleep(0.05)

    async def ended(self) -> int:
        """Waits for its end; how it ended."""
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait), SECONDS)


def started(
    command: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """A process that runs in a folder, and says there in `log` what it does."""
    with (folder / "log").open("wb") as out:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)


CODE = [it for it in blocks(DOCS / "how-to" / "asgi-apps.md") if it.language == "python"]
PROGRAM = "\n\n".join(block.code for block in CODE if block.file == "app.py")
(WITH_A_SERVER,) = (block.code for block in CODE if "CallServer(" in block.code)
MINTING = """
@app.post("/token")
async def token() -> Response:
    return Response(tokens.mint("/phone"))
"""


@asynccontextmanager
async def serving(
    model: str, folder: Path, code: str = PROGRAM, **settings: str
) -> AsyncIterator[Served]:
    """Runs the app of the page."""
    (folder / "app.py").write_text(code, "utf-8")
    with hold_port("127.0.0.1") as port:
        process = start(model, folder, port, settings)
        served = Served(process, f"127.0.0.1:{port}", folder / "log")
        try:
            await served.says("Application startup complete")
            await served.says("Uvicorn running")
            yield served
        finally:
            process.kill()
            process.wait()


def start(
    model: str, folder: Path, port: int, settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Starts uvicorn with the app of a folder."""
    path = os.pathsep.join([str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "any",
        "OPENAI_BASE_URL": model,
        "PUBLIC_HOST": f"127.0.0.1:{port}",
        "PYTHONPATH": path,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        **settings,
    }
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
    return started(command, folder, environment)


async def talked(page: Any) -> None:
    """The agent has greeted."""
    await page.start()
    await page.until(lambda: len(page.heard) > 4_800)


@asynccontextmanager
async def two_calls(app: Served) -> AsyncIterator[tuple[BrowserPage, WebRTCPage]]:
    """A call over a WebSocket and one over WebRTC; the agent has greeted in both."""
    token = await app.token()
    async with (
        await app.page() as page,
        WebRTCPage(f"http://{app.host}/talk", stapes_token=token) as other,
    ):
        await talked(page)
        await talked(other)
        yield page, other


async def test_calls_that_stand_have_time_to_end_after_a_signal(model: str, tmp_path: Path) -> None:
    async with serving(model, tmp_path) as app:
        late = await app.token()
        async with two_calls(app) as (page, other):
            app.process.send_signal(signal.SIGTERM)
            await app.says("draining: 2 calls stand")
            # New ones are told to try elsewhere.
            async with BrowserPage(f"ws://{app.host}/talk", stapes_token=late) as refused:
                await refused.until(lambda: refused.close_code is not None)
            assert refused.close_code == 1013
            assert (await app.post("/talk")).status == 503
            assert (await request("GET", f"http://{app.host}/ready")).status == 503
            # The others go on.
            heard = len(page.heard), len(other.heard)
            await page.send({"type": "say", "text": "Go on."})
            await page.until(lambda: len(page.heard) > heard[0] + 4_800)
            await page.send({"type": "end"})
            await page.until(lambda: page.close_code is not None)
            assert page.close_code == 1000
            await other.until(lambda: len(other.heard) > heard[1])
            assert app.process.poll() is None
            gone = await request("DELETE", other.location)
            assert gone.status == 200
            assert await app.ended() in (0, -signal.SIGTERM)
        assert "Traceback" not in app.said, app.said
        assert app.said.count(" | ended by: ") == 2, app.said


async def test_calls_that_do_not_end_are_ended(model: str, tmp_path: Path) -> None:
    async with serving(model, tmp_path, DRAIN="0.5") as app:
        async with two_calls(app) as (page, other):
            app.process.send_signal(signal.SIGTERM)
            await page.until(lambda: page.close_code is not None)
            await other.until(lambda: other.messages[-1]["type"] == "end")
            assert await app.ended() in (0, -signal.SIGTERM)
        assert page.close_code in (1000, 1012)
        assert "Traceback" not in app.said, app.said


async def test_strangers_and_what_is_too_much_are_refused(model: str, tmp_path: Path) -> None:
    async with serving(model, tmp_path, MAX_CALLS="1") as app:
        stranger = {"Origin": "https://example.com", "Content-Type": "application/sdp"}
        assert (await app.post("/talk", **stranger)).status == 403
        assert (await app.post("/token", **stranger)).status == 403
        assert (await app.post("/talk", "no offer")).status == 422
        async with BrowserPage(f"ws://{app.host}/talk", stapes_token="none") as refused:
            await refused.start()
            await refused.until(lambda: refused.close_code is not None)
        assert refused.close_code == 4403
        token = await app.token()
        async with WebRTCPage(f"http://{app.host}/talk", stapes_token="none") as other:
            await other.start()
            await other.until(lambda: other.messages and other.messages[-1]["type"] == "end")
            assert other.messages[-1]["code"] == 4403
        async with await app.page() as page:
            await talked(page)
            async with BrowserPage(f"ws://{app.host}/talk", stapes_token=token) as second:
                await second.until(lambda: second.close_code is not None)
            assert second.close_code == 1013
            assert (await app.post("/talk", "no offer")).status == 503
        await app.says(" | ended by: ")
        # There is room again.
        async with BrowserPage(f"ws://{app.host}/talk", stapes_token=token) as page:
            await talked(page)
        assert "Traceback" not in app.said, app.said


async def test_a_visitor_may_leave_at_any_time(tmp_path: Path) -> None:
    silent = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent, serving(f"http://127.0.0.1:{port}/v1", tmp_path) as app:
        async with await app.page() as page:
            await page.start()
            await page.until(lambda: page.messages)
        await app.says("ended by: ")
        assert "Traceback" not in app.said, app.said


async def test_a_caller_without_a_model_hears_the_apology(tmp_path: Path) -> None:
    async with serving("http://127.0.0.1:9/v1", tmp_path) as app:
        async with await app.page() as page:
            await page.start()
            await page.until(lambda: page.close_code is not None)
            assert len(page.heard) > 40_000
            assert page.told("error")
        await app.says("ended by: us")


@pytest.mark.parametrize(("most", "answer"), [("1", TOKEN_PARAMETER), ("0", "busy")])
async def test_the_webhook_sends_calls_on_while_there_is_room(
    tmp_path: Path, most: str, answer: str
) -> None:
    async with serving("http://127.0.0.1:9/v1", tmp_path, MAX_CALLS=most) as app:
        assert (await app.post("/voice", "From=1")).status == 403
        signed = f"https://{app.host}/voiceFrom1".encode()
        digest = hmac.new(AUTH_TOKEN.encode(), signed, hashlib.sha1).digest()
        signature = base64.b64encode(digest).decode()
        form = "application/x-www-form-urlencoded"
        headers = {"X-Twilio-Signature": signature, "Content-Type": form}
        answered = await app.post("/voice", "From=1", **headers)
        assert answered.status == 200
        assert answer in answered.body


async def test_calls_of_a_server_inside_the_app_have_time_to_end(
    model: str, tmp_path: Path
) -> None:
    with hold_port("127.0.0.1") as port:
        code = PROGRAM + WITH_A_SERVER.replace("port=8080", f"port={port}") + MINTING
        async with serving(model, tmp_path, code) as app:
            token, late = await app.token(), await app.token()
            url = f"ws://127.0.0.1:{port}/phone"
            async with TwilioPhone(url, stapes_token=token) as phone:
                await phone.start()
                await phone.until(lambda: len(phone.heard) > 4_000)
                app.process.send_signal(signal.SIGTERM)
                await app.says("Waiting for application shutdown")
                with pytest.raises(ConnectionRefusedError):
                    await TwilioPhone(url, stapes_token=late).__aenter__()
                await phone.say(b"\xff" * FRAME * 25)
                assert phone.close_code is None
                assert app.process.poll() is None
                await phone.hang_up()
                assert await app.ended() in (0, -signal.SIGTERM)
            assert "Traceback" not in app.said, app.said
