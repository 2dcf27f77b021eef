"""How late each piece of an answer's sound comes, with rollovers and without."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

from stapes import Audio, RealtimeAgent, RealtimeSession, ReconnectPolicy, WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY = ReconnectPolicy(max_session_duration=12.0, rollover_margin=8.0)
"""A second connection is made 4 s to 5.6 s after the first one, and takes over within 10 s."""
NEVER = ReconnectPolicy()
PAUSE_S = 0.4
BYTES_A_SECOND = 48_000.0


async def lateness(rollovers: int, answers: int) -> tuple[list[float], int]:
    """How late each piece was, in seconds, and how many times another connection took over.

    Args:
        rollovers: answers are asked for until there were so many; 0: none at all.
        answers: what are asked for, where there are no rollovers.
    """
    command = [sys.executable, "-m", "benches.survival.speaker"]
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert server.stdout is not None
    try:
        url = (await server.stdout.readline()).decode().strip()
        return await _listen(url, rollovers, answers)
    finally:
        server.terminate()
        await server.wait()


async def _listen(url: str, rollovers: int, answers: int) -> tuple[list[float], int]:
    loop = asyncio.get_running_loop()
    pieces: list[tuple[float, int]] = []
    session = RealtimeSession(
        RealtimeAgent(name="Desk", instructions="Answer."),
        api_key="nobody's",
        transport=WebSocketTransport(url=url),
        reconnect=EVERY if rollovers else NEVER,
    )

    def heard(event: Audio) -> None:
        pieces.append((loop.time(), len(event.data)))

    spoken = asyncio.Event()
    session.on("audio", heard)
    session.on("agent_end", lambda _: spoken.set())
    found: list[float] = []
    async with session:
        asked = 0
        while session.stats().rollovers < rollovers if rollovers else asked < answers:
            asked += 1
            pieces.clear()
            spoken.clear()
            await session.send_message("Count.")
            await spoken.wait()
            await session.played()
            found.extend(_late(pieces))
            await asyncio.sleep(PAUSE_S)
        return found, session.stats().rollovers


def _late(pieces: Iterable[tuple[float, int]]) -> list[float]:
    """How much later each piece of an answer came than the most punctual one."""
    said, due = 0, []
    for at, length in pieces:
        due.append(at - said / BYTES_A_SECOND)
        said += length
    return [at - min(due) for at in due]
