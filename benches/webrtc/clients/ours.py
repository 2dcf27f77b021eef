"""Sessions of ours: each sends a frame every 20 ms and hears what comes back."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any

os.environ.setdefault("OPENAI_AGENTS_DISABLE_TRACING", "1")

from benches.load.usage import rss_kb
from benches.webrtc.clients.measuring import (
    AT_ONCE,
    FRAME,
    FRAME_S,
    RATE,
    Meter,
    Microphones,
    arguments,
    at_once,
    percentiles,
    round_and_round,
    spoken,
)
from stapes import RealtimeAgent, RealtimeSession, WebRTCTransport
from stapes.audio import Recording

SETTLING_FRAMES = 50 * 4
"""After these the jitter buffer is taken to know its network."""


class Caller:
    """One call and its times, in seconds of the monotonic clock."""

    def __init__(self, url: str, complexity: int | None) -> None:
        effort = {} if complexity is None else {"complexity": complexity}
        transport = WebRTCTransport(url=url, proxy=None, **effort)
        agent = RealtimeAgent(name="bench")
        self.session = RealtimeSession(agent, transport=transport, api_key="none-needed")
        self.pushed: list[float] = []
        self.heard: list[float] = []
        self.bytes = 0
        self.playing = asyncio.Event()
        self.report: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self.session.on("audio", self._hear)
        self.session.on("transport_event", self._raw)

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
        await self.session.connect()
        await asyncio.wait_for(self.playing.wait(), 10)

    def speak(self, _n: int, piece: Any) -> None:
        self.pushed.append(time.monotonic())
        self.session.send_audio(piece)

    async def arrivals(self) -> list[float]:
        """When each packet came to the far side."""
        self.session.transport.send_event({"type": "bench.report"})
        return [ns / 1e9 for ns in await asyncio.wait_for(self.report, 10)]


async def _speak(callers: list[Caller], sound: Any, frames: int, *, by_themselves: bool) -> None:
    """Feeds all microphones: from Python piece by piece, or in Rust."""
    if by_themselves:
        recording = Recording(round_and_round(sound, frames), sample_rate=RATE)
        streams = [c.session.stream_audio(recording, interval=FRAME_S) for c in callers]
        for stream in streams:
            await stream
        return
    microphones = Microphones(sound)
    for caller in callers:
        microphones.add(caller.speak)
    await microphones.run(frames)


async def measure(
    url: str, sound: Any, calls: int, seconds: int, complexity: int | None, *, by_themselves: bool
) -> dict[str, Any]:
    # What is made once is made by the first one.
    first = Caller(url, complexity)
    await first.open()
    await first.session.close()
    meter = Meter(rss_kb())
    callers = [Caller(url, complexity) for _ in range(calls)]
    began = time.monotonic()
    await at_once(AT_ONCE, [caller.open for caller in callers])
    connecting = time.monotonic() - began
    frames = seconds * 50
    async with asyncio.TaskGroup() as group:
        group.create_task(_speak(callers, sound, frames, by_themselves=by_themselves))
        await asyncio.sleep(1.0)
        row = await meter.over(seconds - 2.0, calls)
    # The statistics are those of a second ago.
    await asyncio.sleep(1.2)
    row |= {"connect_ms_each": 1000 * connecting / calls, "packets": frames * calls}
    row |= await _sound(callers, frames)
    for caller in callers:
        await caller.session.close()
    return row


async def _sound(callers: list[Caller], frames: int) -> dict[str, Any]:
    """What became of the sound, and how late it was."""
    up: list[float] = []
    down: list[float] = []
    settled: list[float] = []
    lost = unheard = 0
    for caller in callers:
        arrivals = await caller.arrivals()
        lost += frames - len(arrivals)
        unheard += len(arrivals) - caller.bytes // (2 * FRAME)
        # Frame n begins within piece n, and goes out when piece n + 1 has completed it.
        up += [1000 * (at - pushed) for pushed, at in zip(caller.pushed, arrivals, strict=False)]
        late = [1000 * (heard - at) for at, heard in zip(arrivals, caller.heard, strict=False)]
        down += late
        settled += late[SETTLING_FRAMES:]
    stats = [caller.session.transport.sound for caller in callers]
    known = [one for one in stats if one is not None]
    return {
        "packets_lost": lost + sum(one.packets_lost for one in known),
        "frames_unheard": unheard,
        "concealed": sum(one.concealed for one in known) / len(known),
        "up_ms": percentiles(up),
        "down_ms": percentiles(down),
        "settled_down_ms": percentiles(settled),
        "target_ms": 1000 * max(one.target for one in known),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--complexity", type=int, help="of the encoder; the default of the package")
    parser.add_argument("--streams", type=int, default=0, help="1: microphones are fed in Rust")
    asked = parser.parse_args()
    measuring = measure(
        asked.url,
        spoken(asked.wav),
        asked.calls,
        asked.seconds,
        asked.complexity,
        by_themselves=bool(asked.streams),
    )
    print(json.dumps(asyncio.run(measuring)))


if __name__ == "__main__":
    main()
