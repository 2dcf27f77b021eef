"""The WebSocket transport's options; the core carries the connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stapes import _core
from stapes.config import whole_number
from stapes.transport.base import Transport

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["WebSocketTransport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketTransport(Transport):
    """A WebSocket to the provider, or to any server that speaks its protocol, carried in Rust.

    Times are in seconds, sizes in bytes.

    Attributes:
        url: a `ws://` or `wss://` URL, used as it is in place of the provider's.
        headers: sent with the handshake, after the authorization; `None` as a value leaves a header
            out that would be sent otherwise.
        connect_timeout: for name lookup, proxy, TCP, TLS and handshake together.
        first_event_timeout: how long the server's first event is then awaited. An error in its
            place, or a server that closes, fails `connect`; silence does not. 0: not awaited.
        close_timeout: how long the server may take to answer our goodbye.
        ping_interval: silence after which the server is pinged; `None`: never, sound or no sound.
        ping_timeout: how long it may stay silent after that before the connection counts as lost.
            Anything that it sends counts as an answer.
        sending_ping_interval: the same as `ping_interval` while messages are sent, as sound is,
            where it is shorter: with `sending_ping_timeout`, a dead line is noticed within 8 s
            while the user speaks.
        sending_ping_timeout: the same as `ping_timeout` while messages are sent, where it is
            shorter. A server that does nothing else while it computes may need more.
        unacknowledged_timeout: how long what was sent may stay unacknowledged by the server's
            system before the connection counts as lost, where this system can tell (Linux). A
            server that reads nothing, with its buffers full, is lost after it too. `None`: as long
            as the system retries, a quarter of an hour.
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
    headers: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    connect_timeout: float = 10.0
    first_event_timeout: float = 2.0
    close_timeout: float = 5.0
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
    sending_ping_interval: float = 5.0
    sending_ping_timeout: float = 3.0
    unacknowledged_timeout: float | None = 5.0
    max_message_size: int = 16 * 1024 * 1024
    max_frame_size: int = 16 * 1024 * 1024
    read_buffer_size: int = 64 * 1024
    write_batch_size: int = 64 * 1024
    proxy: str | None = field(default="environment", repr=False)
    ca_file: str | os.PathLike[str] | None = None
    max_outgoing_bytes: int = 4 * 1024 * 1024
    high_water: int = 256 * 1024

    def __post_init__(self) -> None:
        """Refuses options that the connection cannot have.

        Raises:
            ValueError, TypeError: names the option that is wrong.
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
        self.core_options()

    def core_options(self) -> _core.WebSocketOptions:
        """The options as the core takes them."""
        return _core.WebSocketOptions(self)
