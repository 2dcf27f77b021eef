"""What a client's process uses of the machine, and the sound that it sends."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

RATE = 24_000
FRAME = RATE // 50
FRAME_S = 0.020


def usage() -> dict[str, float]:
    """CPU seconds, resident KiB, threads and open files of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "rss_kb": pages * resource.getpagesize() // 1024,
        "threads": len(os.listdir("/proc/self/task")),
        "files": len(os.listdir("/proc/self/fd")),
    }


def speech(seconds: float) -> Any:
    """Int16 with the spectrum and the rhythm of speech; the same every time."""
    count = int(seconds * RATE)
    at = np.arange(count) / RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * at)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voiced = sum(np.sin(n * phase) / n for n in range(1, 20))
    noise = np.random.default_rng(7).normal(0, 0.15, count)
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * at)
    return ((voiced + noise) * swell * 5_000).astype("<i2")


def percentile(values: list[float], share: float) -> float | None:
    """The value that this share of them does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def every_frame(frames: int, begin: float, turn: Any) -> None:
    """Calls `turn(n)` at each frame's time, by the clock: what is late is made up for."""
    for n in range(frames):
        await asyncio.sleep(max(0.0, begin + n * FRAME_S - time.monotonic()))
        turn(n)
