//! Bytes on a network. A driver moves them between a connection and its [`Endpoint`], and knows
//! nothing of what they mean.
//!
//! - [`listen`]: from an address to the streams of those who come to it.
//! - [`net`]: from a URL to a byte stream: proxies, TCP, TLS, one HTTP exchange.
//! - [`plain`]: bytes over a stream.
//! - [`websocket`]: messages over a WebSocket.
//! - [`webrtc`]: messages over a data channel, and sound over RTP.

mod end;
mod endpoint;
pub mod listen;
mod media;
pub mod net;
pub mod plain;
pub(crate) mod timer_grid;
#[cfg(feature = "webrtc")]
pub mod webrtc;
pub mod websocket;

#[cfg(feature = "webrtc")]
pub(crate) use end::EndGuard;
pub use endpoint::{CloseReason, Endpoint, Frame, Outgoing, Writer};
pub use media::{
    DecodeMode, DownlinkFrame, MediaChange, MediaStatus, SampleRates, SoundEndpoint, SoundStats,
    Uplink, UplinkFrame,
};
