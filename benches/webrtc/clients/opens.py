"""Sessions of ours that are opened, hear something, and are closed: does anything stay behind?"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import time
from typing import Any

os.environ.setdefault("OPENAI_AGENTS_DISABLE_TRACING", "1")

from benches.load.usage import cpu_s, descriptors, rss_kb, threads
from benches.webrtc.clients.heap import in_use_kb
from benches.webrtc.clients.measuring import FRAME, at_once
from stapes import RealtimeAgent, RealtimeSession, WebRTCTransport

SOUND = bytes(2 * 5 * FRAME)


async def one_call(url: str) -> None:
    """A whole call: it sends, hears what comes back, and is closed."""
    heard = asyncio.Event()
    transport = WebRTCTransport(url=url, proxy=None)
    session = RealtimeSession(RealtimeAgent(name="bench"), transport=transport, api_key="none")
    session.on("audio", lambda _event: heard.set())
    async with session:
        session.send_audio(SOUND)
        await asyncio.wait_for(heard.wait(), 20)


def left() -> dict[str, int]:
    """What there is of what each call has."""
    gc.collect()
    return {
        "threads": threads(),
        "descriptors": descriptors(),
        "asyncio tasks": len(asyncio.all_tasks()),
    }


def sample(after: int) -> dict[str, float]:
    """The memory of the process, and what of it is in use."""
    return {"after": after, "rss_kb": rss_kb(), "heap_kb": in_use_kb()}


async def measure(url: str, calls: int, most: int) -> dict[str, Any]:
    """Holds so many calls, some at a time, and says what is there before, meanwhile and after."""
    # What is made once is no leak.
    await at_once(most, [lambda: one_call(url)] * (2 * most))
    await asyncio.sleep(1.0)
    before = left()
    samples = []
    began, used = time.monotonic(), sum(cpu_s())
    parts = 20
    for part in range(parts):
        samples.append(sample(part * calls // parts))
        count = (part + 1) * calls // parts - part * calls // parts
        await at_once(most, [lambda: one_call(url)] * count)
    took, used = time.monotonic() - began, sum(cpu_s()) - used
    after = await settled(before)
    samples.append(sample(calls))
    return {
        "opened": calls,
        "at_once": most,
        "ms_each": 1000 * took / calls,
        "cpu_ms_each": 1000 * used / calls,
        "before": before,
        "after": after,
        "samples": samples,
    }


async def settled(aim: dict[str, int]) -> dict[str, int]:
    """What is left when what ends has had the time to end."""
    for _ in range(30):
        if (now := left()) == aim:
            break
        await asyncio.sleep(0.1)
    return now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=10)
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(measure(asked.url, asked.calls, asked.at_once))))


if __name__ == "__main__":
    main()
