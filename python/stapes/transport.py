"""Transports: how a session reaches its model.

`WebSocketTransport` and `WebRTCTransport` are carried in Rust. A subclass of one may rewrite the
session's configuration and bring sound in and out, as a phone line does; a subclass of
`RealtimeTransport` carries the messages themselves.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stapes import _core
from stapes.config import whole_number
from stapes.errors import StapesError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stapes.session import RealtimeSession

__all__ = [
    "IceServer",
    "RealtimeTransport",
    "SoundStatistics",
    "Transport",
    "TransportLine",
    "TransportRequest",
    "WebRTCTransport",
    "WebSocketTransport",
]


@dataclass(frozen=True, slots=True)
class TransportRequest:
    """What a session asks of a transport that it connects with."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    """Authorization included: do not log them."""


class TransportLine:
    """A session's end of a connection that a transport of one's own carries."""

    def __init__(self, line: _core.ExternalConnection, open_line: Callable[[], bool]) -> None:
        self._line = line
        self._open = open_line

    def opened(self) -> bool:
        """The connection stands; false where the session was closed meanwhile."""
        return self._open()

    def receive(self, frame: str) -> None:
        """A text message of the server's arrived."""
        self._line.receive(frame)

    def receive_audio(self, audio: bytes) -> None:
        """The answer's sound arrived, where the transport says that it is `sound_apart`.

        PCM, 16 bit little endian, mono, at the rate of the session's output format. It belongs to
        the response that `output_audio_buffer.started` named, until `.stopped` or `.cleared`.
        """
        self._line.receive_audio(audio)

    def ended(self, reason: str) -> None:
        """The connection is over; `reason` says why, in words for a user."""
        self._line.ended(reason)


class Transport:
    """A way to reach a model: what every transport may do besides carrying messages."""

    __slots__ = ()

    @property
    def playback_reports(self) -> bool:
        """Whether the transport reports what was played, by `session.playback_reported`.

        Otherwise the session works it out, or is told by its own `PlaybackTracker`.
        """
        return False

    def configure(self, session: dict[str, Any]) -> dict[str, Any]:
        """May rewrite the session's configuration, each time before it is sent.

        A phone line forces its audio format here.
        """
        return session

    def attach(self, session: RealtimeSession[Any]) -> None:
        """The transport belongs to this session now.

        Here it may listen (`session.on("audio", ...)`, `session.on("audio_interrupted", ...)`) and
        keep the session, to send audio and to report playback.
        """


class RealtimeTransport(Transport, ABC):
    """A transport of one's own: it carries the messages, the session does the rest for it.

    All is called on the session's event loop.
    """

    __slots__ = ()

    @property
    def sound_apart(self) -> bool:
        """Whether sound travels beside the messages, as over RTP, and not within them.

        The transport then gets the user's sound by `send_audio`, and delivers the answer's to
        `line.receive_audio`.
        """
        return False

    @property
    def server_truncates(self) -> bool:
        """Whether the server knows what was played of an answer, and cuts it by itself.

        It is told to stop by `output_audio_buffer.clear` then; otherwise the session says where to
        cut, by `conversation.item.truncate`.
        """
        return False

    def send_audio(self, audio: bytes) -> None:
        """Takes the user's sound, where the transport is `sound_apart`.

        PCM, 16 bit little endian, mono, at the rate of the session's input format, as it was given:
        to pace it is the transport's.
        """
        raise NotImplementedError("a transport that is sound_apart takes the user's sound")

    @abstractmethod
    async def connect(self, request: TransportRequest, line: TransportLine) -> None:
        """Connects, calls `line.opened()`, and delivers what comes to the line from then on.

        Raises:
            stapes.ConnectError: it could not; the session's `connect` raises the same.
        """

    @abstractmethod
    def send(self, message: str) -> None:
        """Takes a text message for the server; they come in order."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Says goodbye. Nothing is sent after it. The line need not be told of its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketTransport(Transport):
    """A WebSocket to the provider, or to any server that speaks its protocol, carried in Rust.

    Times are in seconds, sizes in bytes.

    Attributes:
        url: a `ws://` or `wss://` URL, used as it is in place of the provider's.
        headers: sent with the handshake, after the authorization.
        connect_timeout: for name lookup, proxy, TCP, TLS and handshake together.
        close_timeout: how long the server may take to answer our goodbye.
        ping_interval: silence after which the server is pinged; `None`: never.
        ping_timeout: how long it may stay silent after that before the connection counts as lost.
        max_message_size: longer messages end the connection.
        max_frame_size: longer frames end the connection.
        read_buffer_size: how much is read at once, into a buffer that a thread's connections share.
        write_batch_size: how much is written at once.
        proxy: `"environment"` (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY), a URL, or `None`.
        ca_file: a PEM file with the authorities to trust, in place of the system's.
        max_outgoing_bytes: what may wait to be sent. Past it the oldest audio is dropped, and where
            that does not help the connection fails.
        high_water: awaited `send_audio` waits while more than this is waiting to be sent.
    """

    # It may carry a key, as some providers want it.
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_timeout: float = 10.0
    close_timeout: float = 5.0
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
    max_message_size: int = 16 * 1024 * 1024
    max_frame_size: int = 16 * 1024 * 1024
    read_buffer_size: int = 64 * 1024
    write_batch_size: int = 64 * 1024
    proxy: str | None = field(default="environment", repr=False)
    ca_file: str | os.PathLike[str] | None = None
    max_outgoing_bytes: int = 4 * 1024 * 1024
    high_water: int = 256 * 1024

    def __post_init__(self) -> None:
        """Refuses what cannot be.

        Raises:
            ValueError, TypeError: names the option.
        """
        for name in (
            "max_message_size",
            "max_frame_size",
            "read_buffer_size",
            "write_batch_size",
            "max_outgoing_bytes",
            "high_water",
        ):
            whole_number(getattr(self, name), name, at_least=1)
        self._options()

    def _options(self) -> _core.WebSocketOptions:
        return _core.WebSocketOptions(
            connect_timeout=self.connect_timeout,
            close_timeout=self.close_timeout,
            ping_interval=self.ping_interval,
            ping_timeout=self.ping_timeout,
            max_message_size=self.max_message_size,
            max_frame_size=self.max_frame_size,
            read_buffer_size=self.read_buffer_size,
            write_batch_bytes=self.write_batch_size,
            proxy=self.proxy,
            ca_file=None if self.ca_file is None else os.fspath(self.ca_file),
        )


@dataclass(frozen=True, slots=True)
class SoundStatistics:
    """How the sound of a WebRTC call fares; `session.transport.sound`.

    Attributes:
        packets_sent: 20 ms each.
        packets_received: of the answer's sound and of the silence between answers.
        packets_lost: those that were not there when it was their turn.
        packets_late: those of them that came afterwards.
        concealed: the share of the sound that had to be guessed, 0 to 1.
        target: how long sound is held back now, in seconds, so that late packets find their place.
        delay: how long the last packet was held back, in seconds.
    """

    packets_sent: int
    packets_received: int
    packets_lost: int
    packets_late: int
    concealed: float
    target: float
    delay: float


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server.

    Attributes:
        urls: `stun:host:port`, `turn:host:port?transport=udp`, one or several.
        username: for TURN.
        credential: for TURN.
    """

    urls: str | Sequence[str]
    username: str = field(default="", repr=False)
    credential: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRTCTransport(Transport):
    """A WebRTC call to the provider, or to any server that answers such calls, carried in Rust.

    Messages go over a data channel, sound as Opus over RTP: smaller than base64 PCM, with the
    lowest delay, and without stalling where packets are lost. You send and get the same PCM as over
    a WebSocket. The provider sends the answer's sound in real time, and cuts what it has not played
    yet when the user interrupts.

    Times are in seconds, sizes in bytes.

    Attributes:
        url: an `https://` or `http://` URL that calls are offered to, used as it is in place of the
            provider's.
        headers: sent with the offer, after the authorization.
        connect_timeout: for name lookup, proxy, TCP, TLS, the answer, ICE, DTLS and the data
            channel together.
        close_timeout: how long, at the end, what was sent may take to arrive.
        disconnected_after: silence of the server after which the call counts as disconnected.
        disconnected_grace: how long it may be disconnected before it counts as lost.
        ice_servers: STUN and TURN servers. None are needed to reach a server on the open internet;
            a TURN server helps where a firewall lets no UDP out.
        local_addresses: the addresses of this machine to use. None: the one that leads to the
            server.
        complexity: effort of the Opus encoder, 0 to 10; `None`: 1, and 5 with `fec`.
        bitrate: of the user's sound, in bits per second; `None`: 72,000 at most, and with `fec`
            what the encoder chooses.
        fec: packets carry a coarse copy of the one before, for when that is lost. It takes effect
            with an `expected_loss` above zero.
        expected_loss: packets that the network loses, in percent.
        dtx: silence is not sent.
        max_queue: how much of the user's sound may wait, in seconds: sound that comes faster than
            it is spoken is sent in its time. The oldest is dropped.
        min_delay: the least that the answer's sound is held back, so that late packets find their
            place.
        start_delay: the same before anything is known of the network.
        max_delay: the most that it is held back. The delay follows what the network does.
        channel_buffer: what the data channel may hold that the server has not acknowledged.
        send_batch_size: how much is taken from what waits at once.
        proxy: for the offer: `"environment"` (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY), a URL,
            or `None`. The sound goes its own way.
        ca_file: a PEM file with the authorities to trust, in place of the system's.
        max_outgoing_bytes: what may wait to be sent, of messages. Past it the connection fails.
        high_water: awaited `send_audio` waits while more than this is waiting to be sent, sound
            included; the default is five seconds of it.
    """

    # It may carry a key, as some providers want it.
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_timeout: float = 15.0
    close_timeout: float = 2.0
    disconnected_after: float = 5.0
    disconnected_grace: float = 5.0
    ice_servers: Sequence[IceServer] = ()
    local_addresses: Sequence[str] = ()
    complexity: int | None = None
    bitrate: int | None = None
    fec: bool = False
    expected_loss: int = 0
    dtx: bool = False
    max_queue: float = 60.0
    min_delay: float = 0.020
    start_delay: float = 0.040
    max_delay: float = 0.200
    channel_buffer: int = 1024 * 1024
    send_batch_size: int = 64 * 1024
    proxy: str | None = field(default="environment", repr=False)
    ca_file: str | os.PathLike[str] | None = None
    max_outgoing_bytes: int = 4 * 1024 * 1024
    high_water: int = 256 * 1024

    def __post_init__(self) -> None:
        """Refuses what cannot be.

        Raises:
            ValueError, TypeError: names the option.
            StapesError: this build has no WebRTC.
        """
        for name in ("channel_buffer", "send_batch_size", "max_outgoing_bytes", "high_water"):
            whole_number(getattr(self, name), name, at_least=1)
        whole_number(self.expected_loss, "expected_loss", at_least=0)
        if self.complexity is not None:
            whole_number(self.complexity, "complexity", at_least=0)
        if self.bitrate is not None:
            whole_number(self.bitrate, "bitrate", at_least=1)
        self._options()

    def _options(self) -> _core.WebRtcOptions:
        if not _core.HAS_WEBRTC:
            raise StapesError(
                "this build of stapes has no WebRTC: install a wheel that has it, build with the "
                "cargo feature `webrtc`, or use transport='websocket'"
            )
        return _core.WebRtcOptions(
            connect_timeout=self.connect_timeout,
            close_timeout=self.close_timeout,
            disconnected_after=self.disconnected_after,
            disconnected_grace=self.disconnected_grace,
            ice_servers=[
                (
                    [server.urls] if isinstance(server.urls, str) else list(server.urls),
                    server.username,
                    server.credential,
                )
                for server in self.ice_servers
            ],
            local_addresses=list(self.local_addresses),
            channel_buffer=self.channel_buffer,
            send_batch_bytes=self.send_batch_size,
            complexity=self.complexity,
            bitrate=self.bitrate,
            fec=self.fec,
            expected_loss=self.expected_loss,
            dtx=self.dtx,
            max_queue=self.max_queue,
            min_delay=self.min_delay,
            start_delay=self.start_delay,
            max_delay=self.max_delay,
            proxy=self.proxy,
            ca_file=None if self.ca_file is None else os.fspath(self.ca_file),
        )
