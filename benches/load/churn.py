"""Sessions that open and close all the time: does anything stay behind?

python -m benches.load.churn --url ws://127.0.0.1:9100 --n 200 --seconds 600
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import time
from typing import Any

os.environ.setdefault("OPENAI_AGENTS_DISABLE_TRACING", "1")

from benches.load.clients import load_client
from benches.load.clients.client import Client, Sink
from benches.load.ticker import MICROPHONE_PCM, SLOTS, TICK
from benches.load.usage import cpu_s, descriptors, rss_kb, threads

SAMPLE_EVERY = 2.0


class Churn:
    """N places, each of which holds one session after another."""

    def __init__(
        self, kind: type[Client], url: str, seconds: float, lengths: tuple[int, int]
    ) -> None:
        self._kind = kind
        self._lengths = lengths
        self._url = url
        self._until = time.monotonic() + seconds
        self._filling = min(lengths[1] / 10, seconds / 2)
        self._random = random.Random(1)
        self._slots: list[set[Client]] = [set() for _ in range(SLOTS)]
        self._now = 0
        self.opened = 0
        self.errors = 0
        self.failed: list[str] = []
        self.latencies_ns: list[int] = []
        self.samples: list[dict[str, float]] = []

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._until

    async def run(self, places: int) -> None:
        """Fills all places until the time is over."""
        ticking = asyncio.create_task(self._tick())
        watching = asyncio.create_task(self._watch())
        async with asyncio.TaskGroup() as group:
            for place in range(places):
                group.create_task(self._hold(place * self._filling / places))
        ticking.cancel()
        watching.cancel()
        await asyncio.gather(ticking, watching, return_exceptions=True)

    async def _hold(self, phase: float) -> None:
        await asyncio.sleep(phase)
        while not self.is_over:
            try:
                await self._one_session()
            except Exception as error:
                self.failed.append(repr(error))
                # What refuses connections is not asked again at once.
                await asyncio.sleep(1)

    async def _one_session(self) -> None:
        chunks = self._random.randint(*self._lengths)
        sink = Sink(1)
        client = self._kind(sink, "paced", chunks)
        await client.open(f"{self._url}/v1/realtime?mode=paced&chunks={chunks}")
        self.opened += 1
        slot = self._slots[self._now % SLOTS]
        try:
            if (started := client.start()) is not None:
                await started
            if not client.feeds_itself:
                slot.add(client)
            await asyncio.wait_for(sink.done, chunks / 10 + 30)
            await client.has_spoken()
        finally:
            slot.discard(client)
            await client.close()
            self.errors += sink.errors
        if sink.latencies_ns:
            self.latencies_ns.append(max(sink.latencies_ns))
        if client.hands_out_audio and len(sink.latencies_ns) != chunks:
            self.failed.append(f"{len(sink.latencies_ns)} of {chunks} chunks came")

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while True:
            await asyncio.sleep(max(0.0, begun + self._now * TICK - loop.time()))
            for client in tuple(self._slots[self._now % SLOTS]):
                sent = client.send_audio(MICROPHONE_PCM)
                if not client.sends_at_once:
                    await sent
            self._now += 1

    async def _watch(self) -> None:
        begun = time.monotonic()
        while True:
            self.samples.append(
                {
                    "seconds": time.monotonic() - begun,
                    "opened": self.opened,
                    "rss_kb": rss_kb(),
                    "threads": threads(),
                    "descriptors": descriptors(),
                    "tasks": len(asyncio.all_tasks()),
                }
            )
            await asyncio.sleep(SAMPLE_EVERY)


async def run(args: argparse.Namespace, kind: type[Client]) -> dict[str, Any]:
    """Churns, and counts what is there before and after."""
    # One session first: what is made once is no leak.
    lengths = (args.shortest, args.longest)
    first = Churn(kind, args.url, 0.1, lengths)
    await first.run(1)
    before = _left()
    churn = Churn(kind, args.url, args.seconds, lengths)
    used = sum(cpu_s())
    await churn.run(args.n)
    used = sum(cpu_s()) - used
    after = await _settled(before)
    return {
        "n": args.n,
        "seconds": args.seconds,
        "opened": churn.opened,
        "errors": churn.errors,
        "failed": churn.failed[:3],
        "failures": len(churn.failed),
        "cpu_s": used,
        "worst_latency_ms": max(churn.latencies_ns, default=0) / 1e6,
        "before": before,
        "after": after,
        "samples": churn.samples,
    }


async def _settled(before: dict[str, int]) -> dict[str, int]:
    """What is left when what ends has had the time to end."""
    for _ in range(50):
        if (left := _left()) == before:
            break
        await asyncio.sleep(0.1)
    return left


def _left() -> dict[str, int]:
    gc.collect()
    return {
        "threads": threads(),
        "descriptors": descriptors(),
        "tasks": len(asyncio.all_tasks()),
    }


def main() -> None:
    """Churns one client."""
    parser = argparse.ArgumentParser(description="Sessions that open and close all the time.")
    parser.add_argument("--client", default="stapes")
    parser.add_argument("--url", default="ws://127.0.0.1:9100")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--shortest", type=int, default=10, help="chunks of 100 ms of a session")
    parser.add_argument("--longest", type=int, default=60)
    args = parser.parse_args()
    print(json.dumps(asyncio.run(run(args, load_client(args.client)))))


if __name__ == "__main__":
    main()
