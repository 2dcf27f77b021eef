//! Drivers that carry a conversation over a network.
//!
//! - [`Session`]: a conversation that is shared between its user and a driver.
//! - [`net`]: from a URL to a byte stream: proxies, TCP, TLS, one HTTP exchange.
//! - [`websocket`]: carries a session over a WebSocket.
//! - [`webrtc`]: carries its messages over a data channel, and its sound over RTP.

mod clock;
mod end;
mod endpoint;
pub mod net;
mod session;
mod sound;
#[cfg(feature = "webrtc")]
pub mod webrtc;
pub mod websocket;

pub use clock::Clock;
pub use endpoint::{Ended, Endpoint, Frame, Outgoing};
pub use session::{Carriage, EventSink, Line, OutgoingLimits, Session, SoundSettings, Traffic};
pub use sound::{Piece, SampleRates, SoundEndpoint, SoundStats, Uplink, Upward, Wanted};
