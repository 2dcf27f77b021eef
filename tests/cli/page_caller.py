"""A caller with a web page, as a test drives it: what comes is played at once."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.calls.browser_page import BrowserPage
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["PageCaller"]

_FRAME = 24_000 * 40 // 1000 * 2
"""Bytes of 40 ms."""


class PageCaller(BrowserPage):
    """Calls when it is entered, hangs up when it is left, and returns each mark when it comes."""

    def __init__(self, url: str, *, origin: str | None = None) -> None:
        host = url.removeprefix("ws://").partition("/")[0]
        super().__init__(url, origin=origin or f"http://{host}")

    @property
    def ended(self) -> str | None:
        """Why the server ended the call, if it did."""
        reasons = [one["reason"] for one in self.messages if one["type"] == "end"]
        return reasons[0] if reasons else None

    @property
    def tools(self) -> list[tuple[str, str]]:
        """The tools of which the page was told, and how each went."""
        return [(tool["name"], tool["status"]) for tool in self.told("tool")]

    @property
    def outputs(self) -> list[str | None]:
        """What tools gave, where the page was told."""
        return [tool.get("output") for tool in self.told("tool")]

    @property
    def agents(self) -> list[str]:
        return [agent["name"] for agent in self.told("agent")]

    def said(self, role: str) -> list[str]:
        """What one side has said, each message as far as it is known."""
        told = [one for one in self.told("transcript") if one["role"] == role]
        return list({one["item_id"]: one["text"] for one in told}.values())

    async def speak(self, sound: bytes, *, silence: float = 1.0) -> None:
        """Say something, and be silent then, so that the turn ends."""
        spoken = sound + bytes(int(silence * self.sample_rate) * 2)
        for start in range(0, len(spoken), _FRAME):
            await self.say(spoken[start : start + _FRAME])

    async def write(self, text: str) -> None:
        """Type a line."""
        await self.send({"type": "say", "text": text})

    async def __aenter__(self) -> PageCaller:
        await super().__aenter__()
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(ConnectionClosed):
            await self.send({"type": "end"})
        await super().__aexit__(kind, error, traceback)

    async def take(self, message: bytes | dict[str, Any]) -> None:
        if isinstance(message, bytes):
            self.played += len(message) // 2
            await self.say()
        elif message["type"] == "mark":
            await self.send({"type": "mark", "id": message["id"]})
