"""The WebRTC transport's options, and how the sound of a call fares; the core carries the call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stapes import _core
from stapes.config import whole_number
from stapes.errors import StapesError
from stapes.transport.base import Transport

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

__all__ = ["IceServer", "SoundStatistics", "WebRTCTransport"]


@dataclass(frozen=True, slots=True)
class SoundStatistics:
    """How the sound of a WebRTC call fares; `session.transport.sound`.

    Attributes:
        packets_sent: 20 ms each.
        packets_received: of the answer's sound and of the silence between answers.
        packets_lost: those that were not there when it was their turn.
        packets_late: those of them that came afterwards.
        concealed: the share of the sound that had to be guessed, 0 to 1. Where a call passes
            packets on as they are, the far side guesses it.
        missing: seconds of the sound that were lost and not even guessed: longer gaps.
        target: how long sound is held back now, in seconds, so that late packets find their place.
        delay: how long the last packet was held back, in seconds.
        bitrate: of the user's sound now, in bits per second; it follows what the server reports.
        reported_loss: the share of the user's packets that the server reported lost last, 0 to 1.
        round_trip: how long a packet takes there and back, in seconds; 0: not known.
        packets_passed: of `packets_sent`, those that were sent as they came from the other end of a
            call: nothing was decoded or encoded for them.
    """

    packets_sent: int
    packets_received: int
    packets_lost: int
    packets_late: int
    concealed: float
    missing: float
    target: float
    delay: float
    bitrate: int
    reported_loss: float
    round_trip: float
    packets_passed: int


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server.

    Attributes:
        urls: `stun:host:port`, `turn:host:port` (UDP), `turn:host:port?transport=tcp`,
            `turns:host:port` (TLS), one or several.
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
        headers: sent with the offer, after the authorization; `None` as a value leaves a header
            out that would be sent otherwise.
        connect_timeout: for name lookup, proxy, TCP, TLS, the answer, ICE, DTLS and the data
            channel together.
        first_event_timeout: how long the server's first event is then awaited. An error in its
            place, or a server that closes, fails `connect`; silence does not. 0: not awaited.
        close_timeout: how long, at the end, what was sent may take to arrive.
        stalled_after: how long no sound may come while an answer plays, until it counts as stalled:
            a `stapes.MediaChanged` says so.
        disconnected_after: silence of the server after which the call counts as disconnected.
        disconnected_grace: how long it may be disconnected before it counts as lost.
        ice_servers: STUN and TURN servers. None are needed to reach a server on the open internet;
            a TURN server over TCP or TLS helps where a firewall lets no UDP out.
        ice_server_timeout: how long these have to answer, all of them together, and half of what is
            left of `connect_timeout` at most. The call is then offered without those that have
            not; the log names them.
        local_addresses: the addresses of this machine to use. None: all that others can reach,
            eight at most, with the one first that leads to the server; and when they change, the
            one that leads there then.
        complexity: effort of the Opus encoder, 0 to 10; `None`: 1, and 5 with `fec`.
        bitrate: of the user's sound, in bits per second, at most; `None`: 72,000, and with `fec`
            what the encoder chooses. It is lowered where the server reports that more than a tenth
            of the packets is lost, or that the network queues, and raised again afterwards.
        min_bitrate: what it is lowered to at most.
        fec: packets carry a coarse copy of the one before, for when that is lost: from the
            beginning, with an `expected_loss` above zero. Without it they do while the server
            reports that more than 4 % are lost.
        expected_loss: packets that the network loses, in percent, at least.
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
        ca_file: a PEM file with the authorities to trust, in place of the system's; for TURN over
            TLS as well.
        max_outgoing_bytes: what may wait to be sent, of messages. Past it the connection fails.
        high_water: awaited `send_audio` waits while more than this is waiting to be sent, sound
            included; the default is five seconds of it.
    """

    # It may carry a key, as some providers want it.
    url: str | None = field(default=None, repr=False)
    headers: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    connect_timeout: float = 15.0
    first_event_timeout: float = 2.0
    close_timeout: float = 2.0
    stalled_after: float = 2.0
    disconnected_after: float = 5.0
    disconnected_grace: float = 5.0
    ice_servers: Sequence[IceServer] = ()
    ice_server_timeout: float = 1.0
    local_addresses: Sequence[str] = ()
    complexity: int | None = None
    bitrate: int | None = None
    min_bitrate: int = 16_000
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
        """Refuses options that a call cannot have.

        Raises:
            ValueError, TypeError: names the option that is wrong.
            StapesError: this build has no WebRTC.
        """
        for name in (
            "min_bitrate",
            "channel_buffer",
            "send_batch_size",
            "max_outgoing_bytes",
            "high_water",
        ):
            whole_number(getattr(self, name), name, at_least=1)
        whole_number(self.expected_loss, "expected_loss", at_least=0)
        if self.complexity is not None:
            whole_number(self.complexity, "complexity", at_least=0)
        if self.bitrate is not None:
            whole_number(self.bitrate, "bitrate", at_least=1)
        self.core_options()

    def core_options(self) -> _core.WebRtcOptions:
        """The options as the core takes them."""
        if not _core.HAS_WEBRTC:
            raise StapesError(
                "this build of stapes has no WebRTC: install a wheel that has it, build with the "
                "cargo feature `webrtc`, or use transport='websocket'"
            )
        return _core.WebRtcOptions(self)
