"""Ends of calls whose packets of Opus are known: what each sent and heard, byte by byte."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av import Packet
from tests.microphone_track import RATE

from stapes.audio import OpusDecoder, OpusEncoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["SILENCE", "Heard", "OpusModel", "OpusTrack", "packets_of", "sound_of_packets"]

SILENCE = b"\xf8\xff\xfe"
"""20 ms without sound."""

TICKS = 960
"""A packet's, of 1/48,000 s."""


def packets_of(samples: np.ndarray, *, milliseconds: int = 20, **options: Any) -> list[bytes]:
    """PCM at 24 kHz as packets, none of which is like another."""
    encoder = OpusEncoder(RATE, bitrate=32_000, **options)
    frame = RATE * milliseconds // 1000
    whole = samples[: len(samples) // frame * frame].astype("<i2")
    return [encoder.encode(whole[at : at + frame]) for at in range(0, len(whole), frame)]


def sound_of_packets(packets: Iterable[bytes]) -> np.ndarray:
    """What packets hold, at 24 kHz."""
    decoder = OpusDecoder(RATE)
    pcm = b"".join(decoder.decode(packet) for packet in packets)
    return np.frombuffer(pcm, dtype="<i2")


class OpusTrack(MediaStreamTrack):
    """Packets in real time: those that it was given, and silence."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[bytes] = []
        self.ticks = TICKS
        self._sent = 0
        self._begun: float | None = None

    def say(self, packets: Iterable[bytes]) -> None:
        """Sends these next."""
        self.waiting += packets

    async def recv(self) -> Any:
        now = asyncio.get_running_loop().time()
        self._begun = self._begun or now
        await asyncio.sleep(self._begun + self._sent / 48_000 - now)
        packet = Packet(self.waiting.pop(0) if self.waiting else SILENCE)
        packet.pts, packet.time_base = self._sent, Fraction(1, 48_000)
        self._sent += self.ticks
        return packet


@dataclass
class Heard:
    """The RTP packets that an end was sent."""

    packets: list[tuple[int, int, bytes]]

    @classmethod
    def by(cls, connection: RTCPeerConnection) -> Heard:
        """Those of a connection of aiortc, from now on."""
        heard = cls([])
        receiver = connection.getReceivers()[0]
        handle = receiver._handle_rtp_packet

        async def look(packet: Any, **more: Any) -> None:
            heard.packets.append((packet.sequence_number, packet.timestamp, packet.payload))
            await handle(packet, **more)

        receiver._handle_rtp_packet = look
        return heard

    @property
    def payloads(self) -> list[bytes]:
        """In the order in which they were sent."""
        first = self.packets[0][0] if self.packets else 0
        ordered = sorted(self.packets, key=lambda it: (it[0] - first + 0x8000) & 0xFFFF)
        return [payload for _, _, payload in ordered]

    def has(self, packets: Iterable[bytes]) -> bool:
        """Whether these came as they are, to their end; a busy machine loses a few."""
        known = list(packets)
        came = set(self.payloads) & set(known)
        return bool(came & set(known[-3:])) and len(came) > 0.9 * len(set(known))

    def of(self, packets: Iterable[bytes]) -> list[int]:
        """The timestamps of those of these packets that came."""
        known = set(packets)
        return [timestamp for _, timestamp, payload in self.packets if payload in known]

    def places(self, packets: Iterable[bytes]) -> np.ndarray:
        """Of those of these packets that came: which, and their timestamps since the first.

        Each row is one packet, in the order of the timestamps.
        """
        numbers = {packet: number for number, packet in enumerate(packets)}
        came = [(t, numbers[payload]) for _, t, payload in self.packets if payload in numbers]
        first = came[0][0] if came else 0
        rows = sorted(((t - first + 2**31) % 2**32 - 2**31, number) for t, number in came)
        return np.array([(number, ticks - rows[0][0]) for ticks, number in rows]).reshape(-1, 2)

    @property
    def samples(self) -> np.ndarray:
        """What they hold, with what is missing concealed."""
        decoder = OpusDecoder(RATE)
        pcm, due = bytearray(), None
        first = self.packets[0][1] if self.packets else 0
        rows = [((t - first + 2**31) % 2**32 - 2**31, payload) for _, t, payload in self.packets]
        for ticks, payload in sorted(rows):
            for _ in range(min(6, (ticks - due) // TICKS) if due is not None else 0):
                pcm += decoder.conceal(0.02)
            sound = decoder.decode(payload)
            pcm += sound
            due = ticks + len(sound)
        return np.frombuffer(bytes(pcm), dtype="<i2")


class OpusModel:
    """A model over WebRTC, of one call after the other."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.connections: list[RTCPeerConnection] = []
        self.voice = OpusTrack()
        self.heard = Heard([])
        self._channel: Any = None
        self._opened = asyncio.Event()
        self._answers = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self.connections:
            await connection.close()

    @property
    def url(self) -> str:
        """Where it is called."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1/realtime/calls"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(re.search(r"content-length: *(\d+)", head, re.I)[1])  # type: ignore[index]
        offer = (await reader.readexactly(length)).decode()
        answer = (await self._answer(offer)).encode()
        writer.write(
            b"HTTP/1.1 201 Created\r\ncontent-type: application/sdp\r\n"
            b"location: /v1/realtime/calls/rtc_1\r\nconnection: close\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(answer), answer)
        )
        await writer.drain()
        writer.close()

    async def _answer(self, offer: str) -> str:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connections.append(connection)
        self._opened.clear()
        self.voice = OpusTrack()
        connection.on("datachannel", self._open)
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        connection.addTrack(self.voice)
        self.heard = Heard.by(connection)
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    def _open(self, channel: Any) -> None:
        self._channel = channel
        channel.on("message", self._take)
        self.send({"type": "session.created", "event_id": "c", "session": {"type": "realtime"}})
        self._opened.set()

    def _take(self, message: str) -> None:
        event = json.loads(message)
        self.received.append(event)
        if event["type"] == "session.update":
            updated = {"type": "session.updated", "event_id": "u", "session": event["session"]}
            self.send(updated)

    def send(self, event: dict[str, Any]) -> None:
        """Sends an event."""
        self._channel.send(json.dumps(event))

    async def is_called(self) -> None:
        """Waits for a call."""
        async with asyncio.timeout(10):
            await self._opened.wait()

    def lose_channel(self) -> None:
        """Closes the data channel, and not the call."""
        self._channel.close()

    def begin(self) -> str:
        """Begins an answer, whose sound follows. Returns the id of its item."""
        self._answers += 1
        response, item = f"r{self._answers}", f"i{self._answers}"
        ids = {"response_id": response, "item_id": item, "content_index": 0}
        self.send({"type": "response.created", "response": {"id": response}})
        added = {"type": "response.content_part.added", "part": {"type": "audio"}}
        self.send(added | ids | {"output_index": 0})
        self.send({"type": "output_audio_buffer.started", "response_id": response})
        return item

    def end(self) -> None:
        """Ends the answer."""
        response = f"r{self._answers}"
        self.send({"type": "response.done", "response": {"id": response, "output": []}})
        self.send({"type": "output_audio_buffer.stopped", "response_id": response})

    async def speak(self, packets: list[bytes]) -> None:
        """Answers with these packets, to their end."""
        self.begin()
        self.voice.say(packets)
        await self.until(lambda: not self.voice.waiting)
        self.end()

    async def until(self, condition: Callable[[], object]) -> None:
        """Waits for what no event tells of."""
        async with asyncio.timeout(15):
            while not condition():
                await asyncio.sleep(0.005)
