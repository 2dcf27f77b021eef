"""openai-agents, with its own runner, on its own model and on ours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agents import Tool, function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner

from benches.load.clients.client import Client

if TYPE_CHECKING:
    from agents.realtime.model import RealtimeModel


@function_tool
def look() -> str:
    """Looks."""
    return "nothing"


class AgentsSdk(Client):
    """`RealtimeSession` of openai-agents, iterated in a task."""

    sends_at_once = False
    has_items = True

    async def open(self, url: str) -> None:
        tools: list[Tool] = [look] if self.mode == "tools" else []
        agent = RealtimeAgent(name="load", instructions="Be brief.", tools=tools)
        runner = RealtimeRunner(agent, model=self.model())
        self.session = await runner.run(model_config={"url": url, "api_key": "unused"})
        await self.session.enter()
        self.task = asyncio.create_task(self._consume())

    def model(self) -> RealtimeModel | None:
        """What carries the session; `None`: the SDK's own model."""
        return None

    async def _consume(self) -> None:
        sink = self.sink
        try:
            async for event in self.session:
                match event.type:
                    case "audio":
                        sink.on_audio(event.audio.data)
                    case "history_added":
                        sink.on_item()
                    case "agent_end":
                        sink.on_turn()
                    case "error":
                        sink.on_error(event.error)
        except Exception as error:
            sink.fail(error)

    async def start(self) -> None:
        await self.session.send_message("go")

    async def send_audio(self, pcm: bytes) -> None:
        await self.session.send_audio(pcm)

    async def close(self) -> None:
        await self.session.close()
        await self.task


class AgentsSdkOnStapes(AgentsSdk):
    """The same on our model."""

    def model(self) -> RealtimeModel:
        from stapes.agents_sdk import StapesRealtimeModel

        return StapesRealtimeModel()
