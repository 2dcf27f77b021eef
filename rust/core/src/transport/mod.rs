//! Drivers that carry a conversation over a network.
//!
//! - [`Session`]: a conversation that is shared between its user and a driver.
//! - [`Microphone`]: the way of the user's sound into it; [`Stream`]: a long sound, sent in real time.
//! - [`net`]: from a URL to a byte stream: proxies, TCP, TLS, one HTTP exchange.
//! - [`websocket`]: carries a session over a WebSocket.
//! - [`webrtc`]: carries its messages over a data channel, and its sound over RTP.

mod clock;
mod end;
mod endpoint;
mod microphone;
pub mod net;
mod session;
mod sound;
mod streaming;
mod texts;
mod ticker;
#[cfg(feature = "webrtc")]
pub mod webrtc;
pub mod websocket;

pub use clock::Clock;
pub use endpoint::{CloseReason, Endpoint, Frame, Outgoing};
pub use microphone::{AudioInput, Microphone, SendAudioError};
pub use session::{
    Connection, ConnectionSettings, EventSink, OutgoingLimits, Session, SoundSettings, Traffic,
};
pub use sound::{
    DecodeMode, DownlinkFrame, SampleRates, SoundEndpoint, SoundStats, Uplink, UplinkFrame,
};
pub use streaming::{Recording, Stream, Streamed};
pub use ticker::{Paced, Ticker};
