"""An agent that answers pages, and what a test sees of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stapes import RealtimeSession, WebSocketTransport

if TYPE_CHECKING:
    from stapes import RealtimeAgent
    from stapes.calls import Call


class PageDesk:
    """Answers pages with an agent, and keeps their calls and sessions."""

    def __init__(self, agent: RealtimeAgent, url: str) -> None:
        self.agent = agent
        self.url = url
        self.calls: list[Call] = []
        self.events: list[Any] = []
        self.cuts: list[Any] = []
        self.problems: list[Any] = []

    async def __call__(self, call: Call) -> None:
        self.calls.append(call)
        call.on(object, self.events.append)
        async with RealtimeSession(
            self.agent, call=call, transport=WebSocketTransport(url=self.url), api_key="key"
        ) as session:
            session.on("audio_interrupted", self.cuts.append)
            session.on("error", self.problems.append)
            await call.ended()
