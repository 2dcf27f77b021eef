"""Conversations with a scripted server, under a clock that the test moves."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from stapes import RealtimeAgent, RealtimeSession
from stapes.testing import ScriptedServer, VirtualClock, settle

SOUND = base64.b64encode(bytes(4800)).decode()
"""100 ms of PCM at 24 kHz."""


@dataclass
class Talk:
    """A session in conversation with a scripted server, and what came of it."""

    session: RealtimeSession[Any]
    server: ScriptedServer
    clock: VirtualClock
    events: list[Any] = field(default_factory=list)

    async def says(self, *events: dict[str, Any] | str | bytes) -> None:
        """The server sends these, and everything comes to rest."""
        for event in events:
            await self.server.send(event)
        await settle(self.session, self.server)

    async def settle(self) -> None:
        await settle(self.session, self.server)

    def sent(self, kind: str) -> list[dict[str, Any]]:
        received = (message for message in self.server.received if isinstance(message, dict))
        return [message for message in received if message["type"] == kind]

    def outputs(self) -> list[str]:
        items = [message["item"] for message in self.sent("conversation.item.create")]
        return [item["output"] for item in items if item["type"] == "function_call_output"]

    def seen(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    async def starts(self, response: str = "r", **fields: Any) -> None:
        await self.says({"type": "response.created", "response": {"id": response, **fields}})

    async def speaks(
        self, response: str = "r", item: str = "i", *, ms: int = 100, part: int = 0
    ) -> None:
        await self.says(
            {
                "type": "response.output_audio.delta",
                "response_id": response,
                "item_id": item,
                "content_index": part,
                "delta": base64.b64encode(bytes(48 * ms)).decode(),
            }
        )

    async def has_spoken(self, response: str = "r", item: str = "i", *, part: int = 0) -> None:
        await self.says(
            {
                "type": "response.output_audio.done",
                "response_id": response,
                "item_id": item,
                "content_index": part,
            }
        )

    async def answers(self, response: str, item: str, words: str, *, ms: int) -> None:
        """A whole spoken answer, generated at once."""
        message = {"id": item, "type": "message", "role": "assistant"}
        part = {"type": "output_audio", "transcript": words}
        of = {"response_id": response, "item_id": item, "content_index": 0}
        await self.starts(response)
        await self.says(
            {"type": "response.output_item.added", "response_id": response, "item": message},
            {"type": "response.output_audio_transcript.delta", "delta": words, **of},
        )
        await self.speaks(response, item, ms=ms)
        await self.has_spoken(response, item)
        done = {**message, "status": "completed", "content": [part]}
        await self.says(
            {"type": "response.output_item.done", "response_id": response, "item": done}
        )
        await self.ends(response, output=[done])

    async def after(self, seconds: float) -> None:
        """Time passes."""
        self.clock.advance(seconds)
        await self.settle()

    def cuts(self) -> list[tuple[str, int]]:
        """Where items were truncated."""
        sent = self.sent("conversation.item.truncate")
        return [(message["item_id"], message["audio_end_ms"]) for message in sent]

    def cancelled(self) -> list[str | None]:
        return [message.get("response_id") for message in self.sent("response.cancel")]

    def heard(self) -> dict[str, str]:
        """What the history says of the assistant's items."""
        return {item.item_id: item.text for item in self.session.history if item.type == "message"}

    def order(self, *kinds: type) -> list[str]:
        return [type(event).__name__ for event in self.events if type(event) in kinds]

    async def calls(
        self, name: str, arguments: str = "{}", call: str = "c", response: str = "r"
    ) -> None:
        item = {
            "id": f"f_{call}",
            "type": "function_call",
            "status": "completed",
            "call_id": call,
            "name": name,
            "arguments": arguments,
        }
        await self.says(
            {"type": "response.output_item.done", "response_id": response, "item": item}
        )

    async def ends(self, response: str = "r", **fields: Any) -> None:
        done = {"id": response, "output": [], **fields}
        await self.says({"type": "response.done", "response": done})


class Talks:
    """Makes conversations, and ends them."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self._made: list[Talk] = []

    async def begin(self, *tools: Any, connect: bool = True, **options: Any) -> Talk:
        handoffs = options.pop("handoffs", [])
        clock = VirtualClock()
        agent = RealtimeAgent(name="Desk", instructions="x", tools=list(tools), handoffs=handoffs)
        options.setdefault("reconnect", None)
        options.setdefault("api_key", "key")
        talk = Talk(clock.session(agent, **options), self.server, clock)
        talk.session.on("*", talk.events.append)
        self._made.append(talk)
        if connect:
            await talk.session.connect(url=self.server.url)
            await talk.settle()
        return talk

    async def end(self) -> None:
        for talk in self._made:
            await talk.session.close()
            await talk.settle()
