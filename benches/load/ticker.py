"""One ticker for the microphones of all sessions of a client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benches.load.clients.client import Client

TICK = 0.005
SLOTS = 20
"""Ticks between two chunks of one microphone: 100 ms."""
MICROPHONE_PCM = bytes(range(256)) * 18 + bytes(192)
"""100 ms of PCM16 at 24 kHz."""


async def tick(clients: Sequence[Client], *, spread: float, chunks: int) -> int:
    """Starts the sessions over `spread` seconds; each sends so many chunks from then on.

    Returns:
        How many chunks were sent, or are sent by clients that feed themselves.
    """
    loop = asyncio.get_running_loop()
    starting: dict[int, list[Client]] = {}
    for number, client in enumerate(clients):
        starting.setdefault(int(spread / TICK * number / len(clients)), []).append(client)
    at_once, fed = clients[0].sends_at_once, clients[0].feeds_itself
    slots: list[list[Callable[[bytes], Any]]] = [[] for _ in range(SLOTS)]
    begun, sent = loop.time(), len(clients) * chunks if fed else 0
    ticks = max(starting) + (0 if fed else chunks * SLOTS) + 1
    for now in range(ticks):
        await asyncio.sleep(max(0.0, begun + now * TICK - loop.time()))
        senders = slots[now % SLOTS]
        if finished := starting.get(now - chunks * SLOTS):
            del senders[: len(finished)]
        for client in starting.get(now, ()):
            if (started := client.start()) is not None:
                await started
            if chunks and not fed:
                senders.append(client.send_audio)
        if at_once:
            for send in senders:
                send(MICROPHONE_PCM)
        else:
            for send in senders:
                await send(MICROPHONE_PCM)
        sent += len(senders)
    return sent
