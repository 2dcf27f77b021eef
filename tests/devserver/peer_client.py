"""A client of nobody's making over WebRTC: aiortc, with events checked against `openai`'s types."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioResampler
from tests.microphone_track import RATE, MicrophoneTrack
from wire_client import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.devserver import DevServer

Event = dict[str, Any]
SECONDS = 10.0


class Ear:
    """Keeps what comes in, as PCM16 mono at 24 kHz."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE)

    @property
    def samples(self) -> np.ndarray:
        return np.frombuffer(bytes(self.pcm), dtype="<i2")

    async def listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            frame.pts = None
            for converted in self._resampler.resample(frame):
                self.pcm += converted.to_ndarray().tobytes()


class PeerClient:
    """One call; `events` holds all that came, in order."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.mouth, self.ear = MicrophoneTrack(), Ear()
        self.events: list[Event] = []
        self.opened, self.closed = asyncio.Event(), asyncio.Event()
        self._grown = asyncio.Event()
        self._seen = 0
        self.channel = self.connection.createDataChannel("oai-events")
        self.channel.on("open", self.opened.set)
        self.channel.on("message", self._take)
        self.channel.on("close", self.closed.set)
        self.connection.addTrack(self.mouth)
        self._tasks: list[asyncio.Task[None]] = []
        self.connection.on(
            "track",
            lambda track: self._tasks.append(asyncio.create_task(self.ear.listen(track))),
        )

    def _take(self, message: str) -> None:
        self.events.append(check(message))
        self._grown.set()

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        async with asyncio.timeout(SECONDS):
            await self.opened.wait()

    def send(self, type_: str, **fields: Any) -> None:
        self.channel.send(json.dumps({"type": type_, **fields}))

    async def until(self, what: str | Callable[[Event], bool], seconds: float = SECONDS) -> Event:
        """Return the next event of a type, or that fits, after those returned before."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self._grown.clear()
                    while self._seen < len(self.events):
                        event = self.events[self._seen]
                        self._seen += 1
                        if event["type"] == what if isinstance(what, str) else what(event):
                            return event
                    await self._grown.wait()
        except TimeoutError:
            raise TimeoutError(f"no {what}; there were {self.types}") from None

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def close(self) -> None:
        await self.connection.close()
        await asyncio.gather(*self._tasks)


async def post(
    url: str, body: bytes, kind: str, key: str | None = "any"
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body."""
    headers = {"content-type": kind} | ({} if key is None else {"authorization": f"Bearer {key}"})
    request = urllib.request.Request(url, body, headers)

    def ask() -> tuple[int, dict[str, str], bytes]:
        try:
            answer = urllib.request.urlopen(request, timeout=SECONDS)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()

    return await asyncio.to_thread(ask)


async def ring(server: DevServer, *, key: str = "any") -> PeerClient:
    """Return a client in a call, after `session.created`."""
    client = PeerClient()
    url = f"{server.http_url}/realtime/calls"
    status, _, answer = await post(url, (await client.offer()).encode(), "application/sdp", key)
    assert status == 201, answer
    await client.accept(answer.decode())
    await client.until("session.created")
    return client
