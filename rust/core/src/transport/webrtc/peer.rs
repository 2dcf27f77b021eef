//! What the transport needs of a WebRTC stack, so that the stack can be another one.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;

/// The payload type under which we offer Opus.
pub(super) const OPUS_PAYLOAD_TYPE: u8 = 111;

/// One end of a call: one data channel for events, one track of Opus each way.
///
/// Dropping it without [`close`](Self::close) frees it as well, a moment later.
pub trait Peer: Send + Sync + 'static {
    /// Our offer, with all the addresses that were found in it.
    fn offer(&self) -> impl Future<Output = Result<String, PeerError>> + Send;

    /// Takes the far side's answer to our offer and begins to connect.
    fn accept(&self, answer: &str) -> impl Future<Output = Result<(), PeerError>> + Send;

    /// Takes the far side's offer; our answer to it, with all the addresses that were found.
    fn answer(&self, offer: &str) -> impl Future<Output = Result<String, PeerError>> + Send;

    /// Sends a text over the data channel. Waits while the channel holds as much as it may.
    fn send_event(&self, text: &str) -> impl Future<Output = Result<(), PeerError>> + Send;

    /// Sends one Opus packet, at once.
    fn send_opus(&self, packet: Opus) -> Result<(), PeerError>;

    /// What happens next. May be dropped before it is ready: nothing is lost. Once the peer is
    /// closed it says [`PeerEvent::Changed`] with [`PeerState::Closed`], each time it is asked.
    ///
    /// The connection lives only while somebody is in here or in [`tend`](Self::tend): a peer need not
    /// have a task of its own.
    fn receive(&self) -> impl Future<Output = PeerEvent> + Send;

    /// Keeps the connection alive and takes nothing off it. Goes on until it is dropped.
    fn tend(&self) -> impl Future<Output = ()> + Send;

    /// Counters since the beginning.
    fn stats(&self) -> PeerStats;

    /// Says goodbye, waiting up to `patience` for what was sent to arrive, and frees everything.
    fn close(&self, patience: Duration) -> impl Future<Output = ()> + Send;
}

/// An Opus packet to send. The peer numbers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opus {
    /// In 1/48000 s, from any beginning.
    pub timestamp: u32,
    /// The first one after a silence.
    pub marker: bool,
    pub payload: Bytes,
}

/// An Opus packet as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub ssrc: u32,
    pub sequence: u16,
    /// In 1/48000 s.
    pub timestamp: u32,
    pub payload: Bytes,
}

/// Something that a peer has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// The data channel is open.
    Opened,
    Text(String),
    /// The realtime protocol has none.
    Binary(Bytes),
    Opus(Received),
    Changed(PeerState),
    /// The far side closed the data channel.
    ChannelClosed,
}

/// Where a peer's connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    Connecting,
    /// A way has been found; keys are not agreed on yet.
    Reached,
    Connected,
    /// Nothing has been heard for a while. It may come back.
    Disconnected,
    /// It could not be made, or is lost for good.
    Failed,
    Closed,
}

/// What has passed.
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
    /// `stun:host:port`, `turn:host:port?transport=udp`.
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

/// How a peer is made.
#[derive(Debug, Clone)]
pub struct PeerSettings {
    /// The addresses of this machine to be reached at, one socket each. Never the unspecified one:
    /// nobody can send to `0.0.0.0`.
    pub local: Vec<IpAddr>,
    pub ice_servers: Vec<IceServer>,
    /// What the data channel may hold of what the far side has not acknowledged, in bytes.
    pub channel_buffer: usize,
    /// Silence of the far side after which it counts as disconnected.
    pub disconnected_after: Duration,
    /// For how long it may be disconnected before it counts as lost.
    pub failed_after: Duration,
    /// Tells the far side that it need not send silence (RFC 7587, section 6.1: `usedtx`).
    pub dtx: bool,
    /// Tells the far side that in-band FEC is of use to us (`useinbandfec`).
    pub fec: bool,
}

/// Why a peer could not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// What came is no session description, or not one that can be met.
    #[error("{0}")]
    Description(String),
    /// A message is longer than the far side takes.
    #[error(
        "a message of {bytes} bytes is longer than the server takes over its data channel; send \
         less at once (shorter instructions, fewer tools, smaller images), or use the WebSocket"
    )]
    TooLong { bytes: usize },
    /// It is closed.
    #[error("the connection is closed")]
    Closed,
    /// A STUN or TURN server cannot be used.
    #[error("{0}")]
    IceServer(String),
    /// No socket, or another failure of this machine's.
    #[error("{0}")]
    Local(String),
}
