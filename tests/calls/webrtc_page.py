"""A caller's web page over WebRTC, of nobody's making: aiortc, and WHIP over HTTP."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioResampler
from tests.microphone_track import RATE, MicrophoneTrack

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["RATE", "Posted", "WebRTCPage", "correlation", "request"]


class Posted:
    """The answer to a request: its status, headers and body."""

    def __init__(self, status: int, headers: Any, body: str) -> None:
        self.status, self.headers, self.body = status, headers, body


async def request(
    method: str, url: str, body: str | None = None, headers: dict[str, str] | None = None
) -> Posted:
    """Asks a server by HTTP."""
    data = None if body is None else body.encode()
    asked = urllib.request.Request(url, data, headers or {}, method=method)

    def ask() -> Posted:
        try:
            with urllib.request.urlopen(asked, timeout=10) as response:
                return Posted(response.status, response.headers, response.read().decode())
        except urllib.error.HTTPError as error:
            return Posted(error.code, error.headers, error.read().decode())

    return await asyncio.to_thread(ask)


class WebRTCPage:
    """A page that calls by WHIP.

    Attributes:
        heard: the sound that came, PCM16 mono at 24 kHz.
        messages: the texts that came, as JSON values.
        location: the URL of its call.
    """

    def __init__(
        self,
        url: str,
        *,
        call_id: str | None = None,
        channel: bool = True,
        headers: dict[str, str] | None = None,
        microphone: Any = None,
        **parameters: str,
    ) -> None:
        self.url = url
        self.call_id = call_id or str(uuid.uuid4())
        self.headers = headers or {}
        self.parameters = parameters
        self.heard = bytearray()
        self.messages: list[dict[str, Any]] = []
        self.microphone = microphone or MicrophoneTrack()
        self.answer: Posted | None = None
        self.location = ""
        self.closed = asyncio.Event()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTrack(self.microphone)
        self._opened = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.channel = self.connection.createDataChannel("stapes") if channel else None
        if self.channel is not None:
            self.channel.on("open", self._opened.set)
            self.channel.on("message", self._take)
            self.channel.on("close", self.closed.set)
        self.connection.on("track", self._track_came)

    @property
    def samples(self) -> np.ndarray:
        """What it has heard."""
        return np.frombuffer(bytes(self.heard), dtype="<i2")

    def _track_came(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            frame.pts = None
            for converted in resampler.resample(frame):
                self.heard += converted.to_ndarray().tobytes()
            self._changed.set()

    def _take(self, message: str) -> None:
        self.messages.append(json.loads(message))
        self._changed.set()

    async def offer(self) -> str:
        """Its offer."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        """Takes the answer, and waits for the data channel."""
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        if self.channel is not None:
            async with asyncio.timeout(10):
                await self._opened.wait()

    async def post(self) -> Posted:
        """Posts its offer."""
        headers = {"Content-Type": "application/sdp", **self.headers}
        self.answer = await request("POST", self.url, await self.offer(), headers)
        return self.answer

    async def start(self) -> None:
        """Calls, and says who it is."""
        answer = await self.post()
        assert answer.status == 201, answer.body
        self.location = urljoin(self.url, answer.headers["Location"])
        await self.accept(answer.body)
        self.begin()

    def begin(self) -> None:
        """Says who it is, where it can."""
        if self.channel is not None:
            self.send({"type": "start", "call_id": self.call_id, "parameters": self.parameters})

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message."""
        assert self.channel is not None
        self.channel.send(json.dumps(message))

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for a condition that what comes makes true."""
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def __aenter__(self) -> WebRTCPage:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.connection.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def correlation(sent: np.ndarray, heard: np.ndarray) -> float:
    """How well what was sent is found in what was heard, -1 to 1, at the best place."""
    sent = sent.astype(float)
    heard = heard.astype(float)
    if len(heard) < len(sent):
        return -1.0
    size = 1 << (len(heard) + len(sent)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size))
    products = np.fft.irfft(spectrum, size)[: len(heard) - len(sent) + 1]
    powers = np.cumsum(np.concatenate(([0.0], heard**2)))
    power = powers[len(sent) :] - powers[: len(powers) - len(sent)]
    return float(np.max(products / np.sqrt(np.maximum(power, 1.0) * np.sum(sent**2))))
