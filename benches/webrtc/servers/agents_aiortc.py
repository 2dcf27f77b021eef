"""openai-agents behind aiortc: pages call over WebRTC, the SDK talks with the model over WebSocket.

What aiortc and the SDK do best is used: sound goes to the model 80 ms at a time, nothing is encoded
while the agent is silent, and an answer that is interrupted stops at once. As with stapes the page
is told what is said; QUIET=1: it is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import uvicorn
from agents.realtime import (
    RealtimeAgent,
    RealtimeAudio,
    RealtimeAudioInterrupted,
    RealtimePlaybackTracker,
    RealtimeRawModelEvent,
    RealtimeRunner,
    RealtimeSession,
)
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

RATE = 24_000
SAMPLES = RATE // 50
FRAME = 2 * SAMPLES
BATCH = 4 * FRAME
HANGOVER_S = 0.2
"""How long the rest of an answer that is no whole frame waits for more."""

agent: RealtimeAgent[Any] = RealtimeAgent(name="Assistant", instructions="Keep responses concise.")
talks: set[asyncio.Task[None]] = set()


class Voice(MediaStreamTrack):  # type: ignore[misc]
    """What the agent says, in real time, in frames of 20 ms; it waits while there is nothing."""

    kind = "audio"

    def __init__(self, tracker: RealtimePlaybackTracker) -> None:
        super().__init__()
        self._tracker = tracker
        self._waiting: list[tuple[str, int, bytearray]] = []
        """The parts that are being said: item, content, sound."""
        self._more = asyncio.Event()
        self._begun: float | None = None
        self._place = 0

    def say(self, event: RealtimeAudio) -> None:
        if not self._waiting or self._waiting[-1][:2] != (event.item_id, event.content_index):
            self._waiting.append((event.item_id, event.content_index, bytearray()))
        self._waiting[-1][2].extend(event.audio.data)
        self._more.set()

    def clear(self) -> None:
        self._waiting.clear()

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        if self._begun is None:
            self._begun = loop.time()
        due = self._begun + self._place / RATE
        if loop.time() - due > HANGOVER_S:
            # After a pause the place goes on with the clock.
            self._place += int((loop.time() - due) * RATE)
        else:
            await asyncio.sleep(due - loop.time())
        pcm = self._next().ljust(FRAME, b"\0")
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(pcm)
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._place
        self._place += SAMPLES
        return frame

    def _next(self) -> bytes:
        if not self._waiting:
            return b""
        item, content, sound = self._waiting[0]
        pcm = bytes(sound[:FRAME])
        del sound[:FRAME]
        if not sound:
            self._waiting.pop(0)
        self._tracker.on_play_bytes(item, content, pcm)
        return pcm


async def listen(track: MediaStreamTrack, session: RealtimeSession) -> None:
    """Takes the page's sound to the model."""
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    batch = bytearray()
    with contextlib.suppress(MediaStreamError):
        while True:
            for frame in resampler.resample(await track.recv()):
                batch += memoryview(frame.planes[0])[: 2 * frame.samples]
            if len(batch) >= BATCH:
                await session.send_audio(bytes(batch))
                batch.clear()


async def talk(peer: RTCPeerConnection, voice: Voice, tracker: RealtimePlaybackTracker) -> None:
    """One call."""
    tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    for receiver in peer.getReceivers():
        tracks.put_nowait(receiver.track)
    runner = RealtimeRunner(agent)
    channels: list[RTCDataChannel] = []
    if not os.environ.get("QUIET"):
        peer.on("datachannel", channels.append)
    config: Any = {"url": os.environ["REALTIME_URL"], "playback_tracker": tracker}
    async with await runner.run(model_config=config) as session:
        listening = asyncio.create_task(listen(await tracks.get(), session))

        @peer.on("connectionstatechange")  # type: ignore[untyped-decorator]
        async def _changed() -> None:
            if peer.connectionState in ("failed", "closed"):
                await session.close()

        async for event in session:
            if isinstance(event, RealtimeAudio):
                voice.say(event)
            elif isinstance(event, RealtimeAudioInterrupted):
                voice.clear()
            elif isinstance(event, RealtimeRawModelEvent):
                said = event.data
                if said.type == "transcript_delta" and channels:
                    told = {"type": "transcript", "item_id": said.item_id, "text": said.delta}
                    channels[0].send(json.dumps(told))
        listening.cancel()
    await peer.close()


async def offer(request: Request) -> Response:
    """Answers an offer, as WHIP has it."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tracker = RealtimePlaybackTracker()
    voice = Voice(tracker)
    description = RTCSessionDescription((await request.body()).decode(), "offer")
    await peer.setRemoteDescription(description)
    peer.addTrack(voice)
    await peer.setLocalDescription(await peer.createAnswer())
    task = asyncio.create_task(talk(peer, voice, tracker))
    talks.add(task)
    task.add_done_callback(talks.discard)
    return Response(peer.localDescription.sdp, 201, media_type="application/sdp")


app = Starlette(routes=[Route("/talk", offer, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
