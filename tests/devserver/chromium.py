"""A headless Chromium that is driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import wave
from typing import TYPE_CHECKING, Any, Self

from websockets.asyncio.client import ClientConnection, connect

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 20.0
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
    "--window-size=1120,900",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-port=0",
)


class PageError(AssertionError):
    """The page's own code failed."""


class Chromium:
    """One browser with one page; what the microphone hears is a WAV file, played once."""

    def __init__(self, home: Path, microphone: Path | None = None, *flags: str) -> None:
        self._home = home
        self._flags = [*_FLAGS, f"--user-data-dir={home}", *flags]
        if os.geteuid() == 0:
            self._flags.append("--no-sandbox")
        if microphone is not None:
            self._flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
        self.problems: list[str] = []
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        assert PROGRAM is not None
        quiet = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            PROGRAM, *self._flags, "about:blank", stdout=quiet, stderr=quiet
        )
        try:
            self._socket = await self._page()
            self._reader = asyncio.create_task(self._read(self._socket))
            for domain in ("Runtime", "Log", "Page"):
                await self.command(f"{domain}.enable")
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            await self.command("Browser.close")
        self._reader.cancel()
        await self._socket.close()
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

    async def _page(self) -> ClientConnection:
        """Connect to the one page, once the browser says where."""
        note = self._home / "DevToolsActivePort"
        async with asyncio.timeout(SECONDS):
            while not note.exists() or len(note.read_text().split()) < 2:
                if self._process.returncode is not None:
                    raise RuntimeError(f"Chromium ended with {self._process.returncode}")
                await asyncio.sleep(0.05)
            port, path = note.read_text().split()
            address = f"ws://127.0.0.1:{port}"
            async with connect(address + path, proxy=None) as browser:
                while True:
                    await browser.send(json.dumps({"id": 0, "method": "Target.getTargets"}))
                    targets = json.loads(await browser.recv())["result"]["targetInfos"]
                    pages = [each["targetId"] for each in targets if each["type"] == "page"]
                    if pages:
                        break
                    await asyncio.sleep(0.05)
            return await connect(f"{address}/devtools/page/{pages[0]}", max_size=None, proxy=None)

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
        """Wait for the browser's end, and bring it about if need be."""
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def write_wav(path: Path, pcm: bytes, rate: int = 24_000) -> Path:
    """Write PCM16 mono for the microphone; Chromium wants a rate that sound cards have."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return path
