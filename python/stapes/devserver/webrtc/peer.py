"""One connection to a peer that has made an offer: aiortc behind what a call needs of it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError
from aiortc.sdp import SessionDescription

from stapes.devserver.webrtc.microphone import Microphone
from stapes.devserver.webrtc.speaker import Speaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiortc import MediaStreamTrack, RTCDataChannel

    from stapes.devserver.audio.formats import Samples
    from stapes.devserver.session.output_audio import OutputAudio

_CHANNEL = "oai-events"
_MOST_UNREAD = 4 * 1024 * 1024
"""Bytes of the client's that wait to be acted on; a client that sends more is cut off."""
_MOST_UNSENT = 1024 * 1024
"""Bytes of events that wait in the data channel before the call pauses."""
_CLOSING_S = 2.0


class OfferError(Exception):
    """The offer cannot be answered; the message says why, without repeating the offer."""


class PeerGoneError(Exception):
    """The peer has gone: nothing can be sent any more."""


class Peer:
    """The server's end of one peer connection."""

    def __init__(self, output: OutputAudio, hear: Callable[[Samples], None]) -> None:
        # No STUN server: a development server answers on the addresses of its own machine.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._speaker = Speaker(output)
        self._hear = hear
        self._channel: RTCDataChannel | None = None
        self._opened = asyncio.Event()
        self._room = asyncio.Event()
        self._gone = asyncio.Event()
        self._unread: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._unread_size = 0
        self._listening: asyncio.Task[None] | None = None
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("datachannel", self._channel_opened)
        self._connection.on("track", self._track_came)

    async def answer(self, offer: str) -> str:
        """Return the answer to an offer.

        Raises:
            OfferError: it is no offer, or not one of a call.
        """
        connection = self._connection
        sound = connection.addTransceiver(self._speaker, direction="sendrecv")
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        sound.setCodecPreferences([codec for codec in codecs if codec.name == "opus"])
        try:
            kinds = {media.kind for media in SessionDescription.parse(offer).media}
            if "audio" not in kinds:
                raise OfferError("it has no audio section")
            if "application" not in kinds:
                raise OfferError("it has no data channel")
            await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            for transceiver in connection.getTransceivers():
                if transceiver is not sound:
                    transceiver.direction = "inactive"
            await connection.setLocalDescription(await connection.createAnswer())
        except OfferError:
            raise
        except Exception as problem:
            # aiortc raises what it runs into: ValueError, KeyError, IndexError, AssertionError.
            raise OfferError("it could not be understood") from problem
        return connection.localDescription.sdp

    async def connected(self) -> None:
        """Wait until the data channel is open.

        Raises:
            PeerGoneError: the connection failed or was closed first.
        """
        await self._opened.wait()
        if self._channel is None:
            raise PeerGoneError

    async def receive(self) -> str | bytes | None:
        """Return the next message of the data channel; `None` once the peer has gone."""
        message = await self._unread.get()
        if message is None:
            self._unread.put_nowait(None)
        else:
            self._unread_size -= len(message)
        return message

    async def send(self, message: str | bytes) -> None:
        """Send a message, once there is room for it.

        Raises:
            PeerGoneError: the peer has gone.
            ValueError: the message is larger than the peer takes.
        """
        await self.connected()
        assert self._channel is not None
        if self._channel.bufferedAmount > _MOST_UNSENT:
            self._room.clear()
            await self._room.wait()
        if self._gone.is_set():
            raise PeerGoneError
        try:
            self._channel.send(message)
        except (InvalidStateError, ConnectionError) as gone:
            raise PeerGoneError from gone

    async def drain(self) -> None:
        """Wait, not for long, until all that was sent has reached the peer."""
        channel = self._channel
        if channel is None or self._gone.is_set():
            return
        channel.bufferedAmountLowThreshold = 0
        if channel.bufferedAmount:
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING_S):
                    await self._room.wait()

    async def close(self) -> None:
        """End the connection and free all that it holds."""
        self._leave()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        # aiortc closes by itself when the peer does; who is cancelled while waiting for that would
        # spoil it for aiortc.
        await asyncio.shield(self._connection.close())

    def hold_sound(self, held: bool) -> None:
        """Send no sound while held."""
        self._speaker.hold(held)

    def close_channel(self) -> None:
        """Close the data channel, and leave the connection as it is."""
        if self._channel is not None:
            self._channel.remove_listener("close", self._leave)
            self._channel.close()

    async def vanish(self) -> None:
        """Fall silent without a word, as a network does that fails."""
        if self._connection.sctp is not None:
            await self._connection.sctp.transport.transport.stop()
        self._leave()

    def _state_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._leave()

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel.label != _CHANNEL or self._channel is not None:
            return
        self._channel = channel
        channel.bufferedAmountLowThreshold = _MOST_UNSENT // 2
        channel.on("message", self._message_came)
        channel.on("bufferedamountlow", self._room.set)
        channel.on("close", self._leave)
        self._opened.set()

    def _message_came(self, message: str | bytes) -> None:
        self._unread_size += len(message)
        self._unread.put_nowait(message)
        if self._unread_size > _MOST_UNREAD:
            self._leave()

    def _track_came(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self._listening is None:
            self._listening = asyncio.create_task(Microphone(track, self._heard).listen())

    def _heard(self, samples: Samples) -> None:
        """Hear nothing before the events of what is heard can be sent."""
        if self._channel is not None:
            self._hear(samples)

    def _leave(self) -> None:
        """Wake all that waits for the peer."""
        if self._gone.is_set():
            return
        self._gone.set()
        self._opened.set()
        self._room.set()
        self._unread.put_nowait(None)
