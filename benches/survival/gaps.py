"""Drops a line again and again, and takes the time until the session goes on."""

from __future__ import annotations

import asyncio

from benches.survival.lines import long_line
from stapes import RealtimeAgent, RealtimeSession, SessionRestored, WebSocketTransport
from stapes.devserver import DevServer, Options, ScriptedMind

ITEMS = 50
PATIENCE_S = 30.0


async def gaps(drops: int, rtt_s: float = 0.0) -> list[float]:
    """The gaps of that many drops, in seconds, each with 50 items to tell."""
    found: list[float] = []
    restored = asyncio.Event()

    def note(event: SessionRestored) -> None:
        found.append(event.gap)
        restored.set()

    mind = ScriptedMind(otherwise="Yes.")
    async with (
        DevServer(mind, None, Options(pace=None)) as server,
        long_line(server.url, rtt_s) as far,
    ):
        session = RealtimeSession(
            RealtimeAgent(name="Desk", instructions="Answer."),
            api_key="nobody's",
            transport=WebSocketTransport(url=far if rtt_s else server.url),
        )
        session.on("session_restored", note)
        async with session, asyncio.timeout(drops * PATIENCE_S):
            for number in range(ITEMS):
                await session.send_message(f"message {number}", trigger_response=False)
            while len(session.history) < ITEMS:
                await asyncio.sleep(0.01)
            for _ in range(drops):
                restored.clear()
                await server.calls[-1].drop("reset")
                await restored.wait()
                while len(server.calls[-1].conversation.items) < ITEMS:
                    await asyncio.sleep(0.01)
    return found
