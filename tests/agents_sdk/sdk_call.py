"""The SDK's session over a model of ours or of theirs, and what was seen of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agents import function_tool
from agents.realtime import RealtimeModelListener, RealtimeSession

from stapes.devserver import Call, ScriptedMind, ToneVoice, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agents.realtime.model import RealtimeModel

SECONDS = 10.0
KEY = "sk-secret-0123456789abcdef"
STORY = "once upon a time " * 40

DESK = ScriptedMind(
    [
        Turn(when="weather", say="Let me look.", call=Call("get_weather", {"city": "Oslo"})),
        Turn(after="get_weather", say="It is {output} in Oslo."),
        Turn(when="invoice", call=Call("transfer_to_billing", {})),
        Turn(after="transfer_to_billing", say="Billing speaking."),
        Turn(when="story", say=STORY),
        Turn(when="enough", say="All right."),
        Turn(when="guardrail triggered", say="I cannot say that."),
        Turn(when="secret", say="The secret number is forty two, and there is more. " * 4),
    ],
    hears=["what is the weather", "I have a question about an invoice", "tell a story", "enough"],
    otherwise="Pardon?",
)
SERVER_VAD = {"type": "server_vad", "interrupt_response": True}
HEARING: dict[str, Any] = {"audio": {"input": {"turn_detection": SERVER_VAD}}}


@function_tool
def get_weather(city: str) -> str:
    """Say how the weather is."""
    return f"sunny for {city}"


class Reader:
    """Reads a session's events, which come in an order that tools may change."""

    def __init__(self, session: RealtimeSession) -> None:
        self.seen: list[Any] = []
        self._events = aiter(session)

    async def until(
        self, type_: str, count: int = 1, fits: Callable[[Any], object] = lambda _: True
    ) -> Any:
        """Read until so many events of a type (that fit) have been seen, and return the last."""
        try:
            async with asyncio.timeout(SECONDS):
                while len(found := [event for event in self.of(type_) if fits(event)]) < count:
                    self.seen.append(await anext(self._events))
        except TimeoutError:
            raise TimeoutError(f"no {type_} in {SECONDS} s; there were {self.types}") from None
        return found[count - 1]

    async def to_the_end(self) -> None:
        async with asyncio.timeout(SECONDS):
            async for event in self._events:
                self.seen.append(event)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.seen if event.type != "raw_model_event"]

    def of(self, type_: str) -> list[Any]:
        return [event for event in self.seen if event.type == type_]

    def model_events(self, type_: str) -> list[Any]:
        """What the model told the session."""
        events = (event.data for event in self.of("raw_model_event"))
        return [event for event in events if event.type == type_]

    def said(self) -> str:
        """The words of the last assistant message of the last history."""
        history = self.of("history_updated")[-1].history
        messages = [item for item in history if getattr(item, "role", "") == "assistant"]
        return str(messages[-1].content[0].transcript)


class Recorder(RealtimeModelListener):
    """A listener to a model that keeps what it gets."""

    def __init__(self, model: RealtimeModel) -> None:
        self.events: list[Any] = []
        self._grown = asyncio.Event()
        model.add_listener(self)

    async def on_event(self, event: Any) -> None:
        self.events.append(event)
        self._grown.set()

    def of(self, type_: str) -> list[Any]:
        return [event for event in self.events if event.type == type_]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    async def until(
        self, type_: str, count: int = 1, fits: Callable[[Any], object] = lambda _: True
    ) -> Any:
        """Wait for so many events of a type (that fit), and return the last."""
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    self._grown.clear()
                    found = [event for event in self.of(type_) if fits(event)]
                    if len(found) >= count:
                        return found[count - 1]
                    await self._grown.wait()
        except TimeoutError:
            raise TimeoutError(f"no {type_} in {SECONDS} s; there were {self.types}") from None

    async def until_said(self, type_: str) -> Any:
        """Wait for the server's event of that type."""
        return await self.until("raw_server_event", fits=lambda it: it.data.get("type") == type_)


async def spoken(text: str, silence_ms: int = 700) -> bytes:
    """PCM16 at 24 kHz of somebody speaking, and falling silent."""
    pcm = (await ToneVoice().speak(text, voice="caller", speed=1.0)).pcm
    return pcm[: len(pcm) // 48 * 48] + bytes(48 * silence_ms)


async def eventually(holds: Callable[[], object]) -> None:
    """Wait for what no event tells of."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.001)


def of_type(messages: list[Any], type_: str) -> list[Mapping[str, Any]]:
    """The messages of that type."""
    return [message for message in messages if message.get("type") == type_]
