"""A client of nobody's making: frames over `websockets`, each checked against `openai`'s types."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from openai.types.realtime import RealtimeServerEvent, RealtimeSessionCreateResponse
from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection, connect

from stapes.devserver import DevServer, ToneVoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Event = dict[str, Any]
SECONDS = 5.0


def _variants() -> dict[str, type[BaseModel]]:
    union = get_args(RealtimeServerEvent)[0]
    return {
        variant.model_fields["type"].annotation.__args__[0]: variant for variant in get_args(union)
    }


VARIANTS = _variants()


def check(frame: str) -> Event:
    """Return a server event that fits `openai`'s own type, with no field that the type lacks."""
    event: Event = json.loads(frame)
    model = VARIANTS[event["type"]].model_validate_json(frame, strict=True)
    surplus = list(_surplus(model))
    if event["type"].startswith("session."):
        session = RealtimeSessionCreateResponse.model_validate_json(
            json.dumps(event["session"]), strict=True
        )
        surplus = [*_surplus(session)]
    assert not surplus, f"{event['type']} has fields that the type lacks: {surplus}"
    return event


def _surplus(value: Any) -> Iterable[str]:
    if isinstance(value, BaseModel):
        yield from value.model_extra or ()
        for name in value.model_fields_set:
            yield from _surplus(getattr(value, name))
    elif isinstance(value, list):
        for element in value:
            yield from _surplus(element)


class WireClient:
    """One connection; `events` holds all that was read, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[Event] = []

    async def send(self, type_: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": type_, **fields}))

    async def next(self) -> Event:
        async with asyncio.timeout(SECONDS):
            frame = await self.socket.recv()
        assert isinstance(frame, str)
        self.events.append(check(frame))
        return self.events[-1]

    async def until(self, what: str | Callable[[Event], bool]) -> Event:
        """Read up to the first event of a type, or that fits, and return it."""
        while True:
            event = await self.next()
            if event["type"] == what if isinstance(what, str) else what(event):
                return event

    async def ask(self, type_: str, **fields: Any) -> Event:
        """Send an event and return the `error` or other event that comes next."""
        await self.send(type_, **fields)
        return await self.next()

    async def refused(self, type_: str, **fields: Any) -> Event:
        """Send an event and return the error that it earns."""
        event = await self.ask(type_, event_id="mine", **fields)
        assert event["type"] == "error", event
        assert event["error"]["event_id"] == "mine"
        assert event["error"]["type"] == "invalid_request_error"
        error: Event = event["error"]
        return error

    async def say(self, text: str, **response: Any) -> Event:
        """Write a message, ask for a response, and return the `response.done` that ends it."""
        await self.write(text)
        await self.send("response.create", **({"response": response} if response else {}))
        return await self.until("response.done")

    async def write(self, text: str, **fields: Any) -> Event:
        """Write a message and return its item."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content, **fields.pop("item", {})}
        await self.send("conversation.item.create", item=item, **fields)
        done: Event = (await self.until("conversation.item.done"))["item"]
        return done

    async def hear(self, sound: bytes, *, chunk: int = 4_800) -> None:
        """Send sound in pieces, as wire bytes of the session's input format."""
        for start in range(0, len(sound), chunk):
            piece = base64.b64encode(sound[start : start + chunk]).decode()
            await self.send("input_audio_buffer.append", audio=piece)

    def types(self, *prefixes: str) -> list[str]:
        """Return the types of what was read, those with one of the prefixes if any are given."""
        return [e["type"] for e in self.events if not prefixes or e["type"].startswith(prefixes)]

    def audio(self) -> bytes:
        """Return all sound that was spoken."""
        return b"".join(
            base64.b64decode(event["delta"])
            for event in self.events
            if event["type"] == "response.output_audio.delta"
        )

    def of(self, type_: str) -> list[Event]:
        return [event for event in self.events if event["type"] == type_]


async def dial(
    server: DevServer, path: str = "?model=gpt-realtime-2.1", **options: Any
) -> WireClient:
    """Connect and read `session.created`."""
    headers = options.pop("additional_headers", {"Authorization": "Bearer key"})
    options = {"max_size": None, "max_queue": None, **options}
    socket = await connect(server.url + path, additional_headers=headers, **options)
    client = WireClient(socket)
    assert (await client.next())["type"] == "session.created"
    return client


def silence(milliseconds: int) -> bytes:
    """PCM16 at 24 kHz of nobody speaking."""
    return bytes(48 * milliseconds)


async def spoken(text: str) -> bytes:
    """PCM16 at 24 kHz of somebody speaking, for whole milliseconds."""
    pcm = (await ToneVoice().speak(text, voice="caller", speed=1.0)).pcm
    return pcm[: len(pcm) // 48 * 48]


def hiss(milliseconds: int, *, level: float = 0.003, seed: int = 7) -> bytes:
    """PCM16 at 24 kHz of a quiet room."""
    noise = np.random.default_rng(seed).standard_normal(24 * milliseconds) * level * 32_767
    return noise.astype("<i2").tobytes()
