"""Calls of aiortc: each sends a frame every 20 ms and decodes what comes back."""

from __future__ import annotations

import asyncio
import fractions
import json
import time
import urllib.request
from typing import Any

import av
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from benches.load.usage import rss_kb
from benches.webrtc.clients.measuring import (
    AT_ONCE,
    RATE,
    Meter,
    Microphones,
    arguments,
    at_once,
    spoken,
)


class Speaking(MediaStreamTrack):  # type: ignore[misc]
    """Gives what the microphone has."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._pieces: asyncio.Queue[Any] = asyncio.Queue()
        self._sent = 0

    def speak(self, _n: int, piece: Any) -> None:
        self._pieces.put_nowait(piece)

    async def recv(self) -> av.AudioFrame:
        piece = await self._pieces.get()
        frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._sent
        frame.time_base = fractions.Fraction(1, RATE)
        self._sent += len(piece)
        return frame


class Caller:
    """One call."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.peer = RTCPeerConnection()
        self.track = Speaking()
        self.peer.addTrack(self.track)
        self.channel = self.peer.createDataChannel("oai-events")
        self.playing = asyncio.Event()
        self.samples = 0
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
            self.samples += frame.samples

    async def open(self) -> None:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        offer = self.peer.localDescription.sdp.encode()
        request = urllib.request.Request(self._url, offer, {"Content-Type": "application/sdp"})

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


async def measure(url: str, sound: Any, calls: int, seconds: int) -> dict[str, Any]:
    first = Caller(url)
    await first.open()
    await first.close()
    meter = Meter(rss_kb())
    callers = [Caller(url) for _ in range(calls)]
    began = time.monotonic()
    await at_once(AT_ONCE, [caller.open for caller in callers])
    connecting = time.monotonic() - began
    microphones = Microphones(sound)
    for caller in callers:
        microphones.add(caller.track.speak)
    async with asyncio.TaskGroup() as group:
        group.create_task(microphones.run(seconds * 50))
        await asyncio.sleep(1.0)
        heard = sum(caller.samples for caller in callers)
        row = await meter.over(seconds - 2.0, calls)
        heard = sum(caller.samples for caller in callers) - heard
    for caller in callers:
        await caller.close()
    row |= {"connect_ms_each": 1000 * connecting / calls}
    # It decodes at 48 kHz.
    return row | {"heard_s_per_s": heard / 48_000 / calls / (seconds - 2.0)}


def main() -> None:
    asked = arguments(__doc__).parse_args()
    measuring = measure(asked.url, spoken(asked.wav), asked.calls, asked.seconds)
    print(json.dumps(asyncio.run(measuring)))


if __name__ == "__main__":
    main()
