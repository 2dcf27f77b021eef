//! The interface between the transport and a WebRTC stack, so that the stack can be replaced.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::audio::passthrough::PacketLimits;
use crate::audio::rtp::rate::Report;
use crate::transport::net::Tls;

/// The payload type under which we offer Opus.
pub(super) const OPUS_PAYLOAD_TYPE: u8 = 111;

/// One end of a call: one data channel for events, one track of Opus each way.
///
/// Dropping it without [`close`](Self::close) frees it as well, a moment later.
pub trait Peer: Send + Sync + 'static {
    /// Returns our offer, with all ICE candidates.
    fn offer(&self) -> impl Future<Output = Result<String, PeerError>> + Send;

    /// Applies the far side's answer to our offer and begins to connect.
    fn accept(&self, answer: &str) -> impl Future<Output = Result<(), PeerError>> + Send;

    /// Applies the far side's offer and returns our answer, with all ICE candidates.
    fn answer(&self, offer: &str) -> impl Future<Output = Result<String, PeerError>> + Send;

    /// Sends a text over the data channel. Waits while the channel's buffer is full.
    fn send_event(&self, text: &str) -> impl Future<Output = Result<(), PeerError>> + Send {
        async move {
            self.send_events(&mut VecDeque::from([text.to_owned()]))
                .await
        }
    }

    /// Sends texts over the data channel, in as few datagrams as they fit into, and takes each out of the
    /// queue. Waits while the channel's buffer is full. On an error, the text that caused it is gone, and
    /// those after it are left.
    fn send_events(
        &self,
        texts: &mut VecDeque<String>,
    ) -> impl Future<Output = Result<(), PeerError>> + Send;

    /// Sends one Opus packet immediately.
    fn send_opus(&self, packet: Opus) -> Result<(), PeerError>;

    /// Returns the next event. It is cancel-safe. Once the peer is closed, every call returns
    /// [`PeerEvent::Changed`] with [`PeerState::Closed`].
    ///
    /// The connection makes progress only while this future or that of [`tend`](Self::tend) is polled:
    /// a peer need not have a task of its own.
    fn receive(&self) -> impl Future<Output = PeerEvent> + Send;

    /// Keeps the connection alive without returning events. It never completes.
    fn tend(&self) -> impl Future<Output = ()> + Send;

    /// The longest message that the far side takes, in bytes, as its description says.
    fn max_message(&self) -> usize;

    /// Which packets of Opus the far side takes, as its description says.
    fn packet_limits(&self) -> PacketLimits;

    /// Counters since the peer was created.
    fn stats(&self) -> PeerStats;

    /// Closes the connection and frees its resources, after waiting up to `patience` for the far side to
    /// acknowledge what was sent.
    fn close(&self, patience: Duration) -> impl Future<Output = ()> + Send;
}

/// An Opus packet to send. The peer numbers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opus {
    /// In 1/48000 s, from any beginning.
    pub timestamp: u32,
    /// Whether it is the first packet after a silence.
    pub marker: bool,
    pub payload: Bytes,
}

/// An Opus packet that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub ssrc: u32,
    pub sequence: u16,
    /// In 1/48000 s.
    pub timestamp: u32,
    pub payload: Bytes,
}

/// An event of a peer.
#[derive(Debug, Clone, PartialEq)]
pub enum PeerEvent {
    /// The data channel is open.
    Opened,
    /// The address of this machine that the call used is gone, and the far side does not take the call on
    /// another one. The connection has failed.
    AddressLost,
    /// The relay that the call went through is gone. The connection has failed.
    RelayLost {
        cause: String,
    },
    Text(String),
    /// A binary message; the realtime protocol has none.
    Binary(Bytes),
    Opus(Received),
    /// What the far side reports of the packets that we send (RTCP).
    Report(Report),
    Changed(PeerState),
    /// The far side closed the data channel, and perhaps the connection a moment later.
    ChannelClosed,
}

/// The state of a peer's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    Connecting,
    /// ICE has found a path; the DTLS handshake is not complete.
    Reached,
    Connected,
    /// The far side has sent nothing for a while. The connection may recover.
    Disconnected,
    /// It could not be established, or is lost for good.
    Failed,
    Closed,
}

/// The packets and bytes of sound so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerStats {
    pub packets_sent: u64,
    pub bytes_sent: u64,
    pub packets_received: u64,
    pub bytes_received: u64,
}

/// A STUN or TURN server (RFC 7064, RFC 7065).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IceServer {
    /// Such as `stun:host:port` or `turn:host:port?transport=udp`.
    pub urls: Vec<String>,
    /// For TURN.
    pub username: String,
    /// For TURN.
    pub credential: String,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .finish_non_exhaustive()
    }
}

/// The settings of a peer.
#[derive(Debug, Clone)]
pub struct PeerSettings {
    /// The local addresses, one socket each. Never the unspecified address: nobody can send to
    /// `0.0.0.0`.
    pub local: Vec<IpAddr>,
    /// The label of the data channel: of the one that we offer, and of the one of the far side that is taken.
    pub channel: &'static str,
    /// Whether no other addresses may be used later, when this machine's have changed.
    pub is_bound: bool,
    pub ice_servers: Vec<IceServer>,
    /// How long these have to answer, all of them together.
    pub ice_server_timeout: Duration,
    /// How those that are reached over TLS are verified.
    pub tls: Tls,
    /// The most bytes in the data channel that the far side has not acknowledged.
    pub channel_buffer: usize,
    /// Silence of the far side after which it counts as disconnected.
    pub disconnected_after: Duration,
    /// How long it may be disconnected before it counts as failed.
    pub failed_after: Duration,
    /// Offers discontinuous transmission to the far side (RFC 7587, section 6.1: `usedtx`).
    pub dtx: bool,
    /// Asks the far side for in-band FEC (`useinbandfec`).
    pub fec: bool,
}

/// Why a call of a [`Peer`] failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The session description is malformed or unsupported.
    #[error("{0}")]
    Description(String),
    /// A message is longer than the far side accepts.
    #[error(
        "a message of {bytes} bytes is longer than the server takes over its data channel; send \
         less at once (shorter instructions, fewer tools, smaller images), or use the WebSocket"
    )]
    TooLong { bytes: usize },
    /// The peer is closed.
    #[error("the connection is closed")]
    Closed,
    /// A STUN or TURN server cannot be used.
    #[error("{0}")]
    IceServer(String),
    /// A local failure, such as a socket that cannot be opened.
    #[error("{0}")]
    Local(String),
}
