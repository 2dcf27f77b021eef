"""A session in a call with a development server, and what was seen of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from stapes import Error, RealtimeSession, SessionEvent
from stapes.devserver import DevServer, ToneVoice

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.devserver.web.served import ServedCall

KEY = "sk-secret-0123456789abcdef"
SECONDS = 5.0

E = TypeVar("E")


class Seen:
    """The events of a session, gathered by a callback."""

    def __init__(self, session: RealtimeSession[Any], event: str = "*") -> None:
        self.events: list[Any] = []
        self._grown = asyncio.Event()
        session.on(event, self._take)

    def _take(self, event: SessionEvent) -> None:
        self.events.append(event)
        self._grown.set()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def errors(self) -> list[BaseException]:
        return [event.error for event in self.of(Error)]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    async def until(
        self, kind: type[E], fits: Callable[[E], object] | None = None, *, count: int = 1
    ) -> E:
        """Wait for so many events of a kind (that fit), and return the last."""
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    self._grown.clear()
                    found = [event for event in self.of(kind) if fits is None or fits(event)]
                    if len(found) >= count:
                        return found[count - 1]
                    await self._grown.wait()
        except TimeoutError:
            raise TimeoutError(
                f"no {kind.__name__} in {SECONDS} s; there were {self.types}, {self.errors}"
            ) from None


class Called:
    """A session, its server, and both ends' records."""

    call: ServedCall

    def __init__(self, session: RealtimeSession[Any], server: DevServer) -> None:
        self.session = session
        self.server = server
        self.seen = Seen(session)


async def eventually(holds: Callable[[], object]) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.001)


def silence(milliseconds: int) -> bytes:
    """PCM16 at 24 kHz of nobody speaking."""
    return bytes(48 * milliseconds)


async def spoken(text: str) -> bytes:
    """PCM16 at 24 kHz of somebody speaking, for whole milliseconds."""
    pcm = (await ToneVoice().speak(text, voice="caller", speed=1.0)).pcm
    return pcm[: len(pcm) // 48 * 48]
