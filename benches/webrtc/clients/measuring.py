"""What the clients have in common: the sound that they send, the microphones, the sums."""

from __future__ import annotations

import argparse
import asyncio
import time
import wave
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from benches.load.usage import cpu_by_thread, cpu_s, rss_kb

if TYPE_CHECKING:
    from collections.abc import Iterable

RATE = 24_000
FRAME = RATE // 50
FRAME_S = 0.020
TICK_S, SLOTS = 0.005, 4
"""A tick feeds every fourth microphone."""
AT_ONCE = 8
"""How many calls are being connected at a time."""

Feed = Callable[[int, Any], None]
"""Takes the n-th piece of sound."""


def spoken(path: str) -> Any:
    """The samples of a wav file at 24 kHz."""
    with wave.open(path) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def round_and_round(sound: Any, frames: int) -> Any:
    """So many frames of the sound in a circle."""
    return np.resize(sound, frames * FRAME)


class Microphones:
    """Feeds the microphones of many calls in real time, 20 ms every 20 ms, the sound in a circle.

    The first piece of each and the last have 10 ms: pieces are not the frames that are sent.
    """

    def __init__(self, sound: Any) -> None:
        self._sound = sound
        self._feeds: list[Feed] = []

    def add(self, feed: Feed) -> None:
        self._feeds.append(feed)

    async def run(self, frames: int) -> None:
        """Feeds so many frames to each."""
        slots = [self._feeds[slot::SLOTS] for slot in range(SLOTS)]
        pieces = self._pieces(frames)
        begin = time.monotonic()
        # By the clock: what is late is made up for.
        for tick in range(len(pieces) * SLOTS):
            await asyncio.sleep(max(0.0, begin + tick * TICK_S - time.monotonic()))
            n, slot = divmod(tick, SLOTS)
            for feed in slots[slot]:
                feed(n, pieces[n])

    def _pieces(self, frames: int) -> list[Any]:
        around = round_and_round(self._sound, frames)
        cuts = [0, *range(FRAME // 2, len(around), FRAME), len(around)]
        return [around[begin:end] for begin, end in pairwise(cuts)]


class Meter:
    """What this process uses while a block runs."""

    def __init__(self, idle_kb: int) -> None:
        self._idle_kb = idle_kb

    async def over(self, seconds: float, calls: int) -> dict[str, Any]:
        """Measures for so long, from now on."""
        used, threads, began = sum(cpu_s()), cpu_by_thread(), time.monotonic()
        await asyncio.sleep(seconds)
        took = time.monotonic() - began
        cores = (sum(cpu_s()) - used) / took
        by_thread = {
            name: round((now - threads.get(name, 0.0)) / took, 4)
            for name, now in cpu_by_thread().items()
        }
        return {
            "calls": calls,
            "cores": cores,
            "cpu_ms_per_call_s": cores * 1000 / calls,
            "cores_by_thread": by_thread,
            "kb_per_call": (rss_kb() - self._idle_kb) / calls,
        }


async def at_once(most: int, acts: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Does all of these, so many at a time."""
    room = asyncio.Semaphore(most)

    async def do(act: Callable[[], Awaitable[None]]) -> None:
        async with room:
            await act()

    async with asyncio.TaskGroup() as group:
        for act in acts:
            group.create_task(do(act))


def percentiles(values: list[float]) -> dict[str, float]:
    """The values that half and 99 % of them do not exceed, and the largest."""
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        "max": ordered[-1],
    }


def arguments(about: str | None) -> argparse.ArgumentParser:
    """What the clients are told."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--url", required=True)
    parser.add_argument("--wav", required=True, help="what they say: 16 bits, mono, 24 kHz")
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=10)
    return parser
