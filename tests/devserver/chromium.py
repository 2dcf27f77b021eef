"""A headless Chromium that is driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import wave
from typing import TYPE_CHECKING, Any, Self

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(
    PROGRAM is None, reason="there is no Chromium (apt-get install chromium)"
)
SECONDS = 20.0
WIDTH, HEIGHT = 1120, 900
_FLAGS = (
    "--headless=new",
    "--no-first-run",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
    f"--window-size={WIDTH},{HEIGHT}",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-port=0",
)


class PageError(AssertionError):
    """The page's own code failed."""


class Browser:
    """The process of a browser; what its microphone hears is a WAV file, played once.

    It belongs to no event loop, so that several tests may have their pages in one: to start it is
    most of what a short test takes.
    """

    def __init__(self, home: Path, microphone: Path | None = None, *flags: str) -> None:
        assert PROGRAM is not None
        self._home = home
        words = [PROGRAM, *_FLAGS, f"--user-data-dir={home}", *flags]
        if os.geteuid() == 0:
            words.append("--no-sandbox")
        if microphone is not None:
            words.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen([*words, "about:blank"], stdout=quiet, stderr=quiet)

    async def address(self) -> tuple[str, str]:
        """Where it listens, and the path of the whole browser there, once it says so."""
        note = self._home / "DevToolsActivePort"
        async with asyncio.timeout(SECONDS):
            while not note.exists() or len(note.read_text().split()) < 2:
                if self._process.poll() is not None:
                    raise RuntimeError(f"Chromium ended with {self._process.returncode}")
                await asyncio.sleep(0.02)
        port, path = note.read_text().split()
        return f"ws://127.0.0.1:{port}", path

    def end(self) -> None:
        """End it, and wait until it has."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Chromium:
    """A page in a profile of its own, which ends with it; the process, too, unless it is given."""

    def __init__(
        self,
        home: Path,
        microphone: Path | None = None,
        *flags: str,
        browser: Browser | None = None,
    ) -> None:
        self._started = (home, microphone, *flags)
        self._browser, self._is_shared = browser, browser is not None
        self.problems: list[str] = []
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        if self._browser is None:
            self._browser = Browser(*self._started)
        try:
            self._socket = await self._page(*await self._browser.address())
            self._reader = asyncio.create_task(self._read(self._socket))
            for domain in ("Runtime", "Log", "Page"):
                await self.command(f"{domain}.enable")
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.cancel()
        await self._socket.close()
        with contextlib.suppress(ConnectionClosed):
            await self._ask("Target.disposeBrowserContext", browserContextId=self._profile)
        await self._whole.close()
        await self._end()

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command of the DevTools protocol and return its result."""
        number = next(self._ids)
        coming = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        async with asyncio.timeout(SECONDS):
            answer = await coming
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, url: str) -> None:
        await self.command("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def evaluate(self, script: str) -> Any:
        """Run an expression, or `async` function's promise, in the page, and return its value."""
        result = await self.command(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    async def until(self, script: str, seconds: float = SECONDS) -> None:
        """Wait for an expression to be true; nothing tells of it, so it is asked again."""
        loop = asyncio.get_running_loop()
        latest = loop.time() + seconds
        while not await self.evaluate(f"Boolean({script})"):
            if loop.time() > latest:
                page = await self.evaluate("document.body?.innerText")
                raise TimeoutError(f"not in {seconds} s: {script}\n{page}\n{self.problems}")
            await asyncio.sleep(0.05)

    async def click(self, selector: str) -> None:
        """Click as a person does: with the mouse, in the middle."""
        x, y = await self.evaluate(
            f"(button => {{ button.scrollIntoView(); const box = button.getBoundingClientRect();"
            f" return [box.x + box.width / 2, box.y + box.height / 2] }})"
            f"(document.querySelector({selector!r}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.command(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def picture(self) -> bytes:
        """The page as it is seen, as PNG."""
        shot = await self.command("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])

    async def _page(self, address: str, path: str) -> ClientConnection:
        """Open a page in a new profile, and connect to it."""
        self._whole = await connect(address + path, proxy=None)
        made = await self._ask("Target.createBrowserContext", disposeOnDetach=True)
        self._profile = made["browserContextId"]
        where = {"browserContextId": self._profile, "newWindow": True}
        size = {"width": WIDTH, "height": HEIGHT}
        page = await self._ask("Target.createTarget", url="about:blank", **where, **size)
        target = f"{address}/devtools/page/{page['targetId']}"
        return await connect(target, max_size=None, proxy=None)

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command to the whole browser, and return its result."""
        async with asyncio.timeout(SECONDS):
            await self._whole.send(json.dumps({"id": 0, "method": method, "params": params}))
            while "id" not in (answer := json.loads(await self._whole.recv())):
                pass
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def _read(self, socket: ClientConnection) -> None:
        async for message in socket:
            event = json.loads(message)
            if "id" in event:
                answer = self._answers.pop(event["id"], None)
                if answer is not None and not answer.done():
                    answer.set_result(event)
            elif event["method"] == "Runtime.exceptionThrown":
                details = event["params"]["exceptionDetails"]
                thrown = details.get("exception", {}).get("description", details["text"])
                self.problems.append(thrown)
            elif event["method"] == "Log.entryAdded":
                entry = event["params"]["entry"]
                if entry["level"] == "error":
                    self.problems.append(f"{entry['text']} {entry.get('url', '')}")

    async def _end(self) -> None:
        """End the process, where it is this page's own."""
        if self._browser is not None and not self._is_shared:
            await asyncio.to_thread(self._browser.end)


def write_wav(path: Path, pcm: bytes, rate: int = 24_000) -> Path:
    """Write PCM16 mono for the microphone; Chromium wants a rate that sound cards have."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path
