"""Transports: how a session reaches its model.

`WebSocketTransport` and `WebRTCTransport` are carried in Rust. A subclass of one may rewrite the
session's configuration and bring sound in and out, as a phone line does; a subclass of
`RealtimeTransport` carries the messages themselves.
"""

from stapes.transport.base import RealtimeTransport, Transport, TransportLine, TransportRequest
from stapes.transport.webrtc import IceServer, SoundStatistics, WebRTCTransport
from stapes.transport.websocket import WebSocketTransport

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
