"""Calls of aiortc: each sends a frame every 20 ms and decodes what comes back."""

from __future__ import annotations

import argparse
import asyncio
import fractions
import json
import time
import urllib.request
from typing import Any

import av
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from benches.webrtc.clients.measuring import FRAME, FRAME_S, RATE, speech, usage


class Speaking(MediaStreamTrack):  # type: ignore[misc]
    """Speaks in real time."""

    kind = "audio"

    def __init__(self, sound: Any, offset: float) -> None:
        super().__init__()
        self._sound = sound
        self._begin = time.monotonic() + offset
        self._count = 0
        self.talking = asyncio.Event()

    async def recv(self) -> av.AudioFrame:
        if not self.talking.is_set():
            await self.talking.wait()
            self._begin += time.monotonic() - self._begin
        await asyncio.sleep(max(0.0, self._begin + self._count * FRAME_S - time.monotonic()))
        at = self._count * FRAME % (len(self._sound) - FRAME)
        frame = av.AudioFrame.from_ndarray(
            self._sound[at : at + FRAME].reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = RATE
        frame.pts = self._count * FRAME
        frame.time_base = fractions.Fraction(1, RATE)
        self._count += 1
        return frame


class Caller:
    """One call."""

    def __init__(self, sound: Any, offset: float) -> None:
        self.peer = RTCPeerConnection()
        self.track = Speaking(sound, offset)
        self.peer.addTrack(self.track)
        self.channel = self.peer.createDataChannel("oai-events")
        self.playing = asyncio.Event()
        self.frames = 0
        self._listening: asyncio.Task[None] | None = None

        @self.channel.on("message")  # type: ignore[untyped-decorator]
        def _message(text: str) -> None:
            if "output_audio_buffer.started" in text:
                self.playing.set()

        @self.peer.on("track")  # type: ignore[untyped-decorator]
        def _track(track: MediaStreamTrack) -> None:
            self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            frame.to_ndarray().tobytes()
            self.frames += 1

    async def open(self, url: str) -> None:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.peer.localDescription.sdp.encode()
        request = urllib.request.Request(url, offer, {"Content-Type": "application/sdp"})

        def post() -> str:
            with urllib.request.urlopen(request) as answer:
                return str(answer.read().decode())

        answer = await asyncio.to_thread(post)
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.wait_for(self.playing.wait(), 20)

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        await self.peer.close()


async def measure(url: str, calls: int, seconds: int) -> dict[str, Any]:
    sound = speech(5.0)
    first = Caller(sound, 0.0)
    await first.open(url)
    await first.close()
    before = usage()
    callers = [Caller(sound, FRAME_S * n / calls) for n in range(calls)]
    for caller in callers:
        await caller.open(url)
    for caller in callers:
        caller.track.talking.set()
    await asyncio.sleep(1.0)
    begin, began = usage(), time.monotonic()
    heard = sum(caller.frames for caller in callers)
    await asyncio.sleep(seconds - 2.0)
    end, took = usage(), time.monotonic() - began
    heard = sum(caller.frames for caller in callers) - heard
    for caller in callers:
        await caller.close()
    cores = (end["cpu_s"] - begin["cpu_s"]) / took
    return {
        "calls": calls,
        "cores": cores,
        "cpu_ms_per_call_s": cores * 1000 / calls,
        "kb_per_call": (end["rss_kb"] - before["rss_kb"]) / calls,
        "frames_per_call_s": heard / calls / took,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=10)
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(measure(asked.url, asked.calls, asked.seconds))))


if __name__ == "__main__":
    main()
