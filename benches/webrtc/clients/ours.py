"""Sessions of ours: each sends a frame every 20 ms and hears what comes back."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

from benches.webrtc.clients.measuring import (
    FRAME,
    FRAME_S,
    every_frame,
    percentile,
    speech,
    usage,
)
from stapes import RealtimeAgent, RealtimeSession, WebRTCTransport


class Caller:
    """One call and its times, in seconds of the monotonic clock."""

    def __init__(self, url: str, complexity: int) -> None:
        transport = WebRTCTransport(url=url, complexity=complexity, proxy=None)
        agent = RealtimeAgent(name="bench")
        self.session = RealtimeSession(agent, transport=transport, api_key="none-needed")
        self.pushed: list[float] = []
        self.heard: list[float] = []
        self.bytes = 0
        self.playing = asyncio.Event()
        self.report: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self.session.on("audio", self._hear)

    def _hear(self, event: Any) -> None:
        self.heard.append(time.monotonic())
        self.bytes += len(event.data)

    def _raw(self, event: Any) -> None:
        kind = event.event.get("type")
        if kind == "output_audio_buffer.started":
            self.playing.set()
        elif kind == "bench.report" and not self.report.done():
            self.report.set_result(event.event["arrivals"])

    async def open(self) -> None:
        self.session.on("transport_event", self._raw)
        await self.session.connect()
        await asyncio.wait_for(self.playing.wait(), 10)

    async def speak(self, sound: Any, frames: int, offset: float) -> None:
        begin = time.monotonic() + offset

        def send(n: int) -> None:
            at = n * FRAME % (len(sound) - FRAME)
            self.pushed.append(time.monotonic())
            self.session.send_audio(sound[at : at + FRAME])

        await every_frame(frames, begin, send)

    async def close(self) -> list[int]:
        self.session.transport.send_event({"type": "bench.report"})
        arrivals = await asyncio.wait_for(self.report, 10)
        await self.session.close()
        return arrivals


async def measure(url: str, calls: int, seconds: int, complexity: int) -> dict[str, Any]:
    first = Caller(url, complexity)
    await first.open()
    await first.session.close()
    before = usage()
    callers = [Caller(url, complexity) for _ in range(calls)]
    for caller in callers:
        await caller.open()
    sound, frames = speech(5.0), seconds * 50
    async with asyncio.TaskGroup() as group:
        for n, caller in enumerate(callers):
            group.create_task(caller.speak(sound, frames, FRAME_S * n / calls))
        await asyncio.sleep(1.0)
        begin, began = usage(), time.monotonic()
        await asyncio.sleep(seconds - 2.0)
        end, took = usage(), time.monotonic() - began
    await asyncio.sleep(0.5)
    stats = [caller.session.transport.sound for caller in callers]
    up: list[float] = []
    down: list[float] = []
    lost = concealed = 0
    for caller in callers:
        arrivals = [ns / 1e9 for ns in await caller.close()]
        lost += frames - len(arrivals)
        up += [
            (there - pushed) * 1000 for pushed, there in zip(caller.pushed, arrivals, strict=False)
        ]
        down += [
            (heard - there) * 1000 for there, heard in zip(arrivals, caller.heard, strict=False)
        ]
    for sound_stats in stats:
        assert sound_stats is not None
        lost += sound_stats.packets_lost
        concealed += sound_stats.concealed
    cores = (end["cpu_s"] - begin["cpu_s"]) / took
    return {
        "calls": calls,
        "complexity": complexity,
        "cores": cores,
        "cpu_ms_per_call_s": cores * 1000 / calls,
        "kb_per_call": (end["rss_kb"] - before["rss_kb"]) / calls,
        "packets": frames * calls,
        "packets_lost": lost,
        "concealed": concealed / calls,
        "up_ms": {"p50": percentile(up, 0.5), "p99": percentile(up, 0.99)},
        "down_ms": {"p50": percentile(down, 0.5), "p99": percentile(down, 0.99)},
        "target_ms": max(s.target for s in stats if s is not None) * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--complexity", type=int, default=5)
    asked = parser.parse_args()
    result = asyncio.run(measure(asked.url, asked.calls, asked.seconds, asked.complexity))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
