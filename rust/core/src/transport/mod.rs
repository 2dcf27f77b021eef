//! Drivers that carry a conversation over a network.
//!
//! - [`Session`]: a conversation that is shared between its user and a driver.
//! - [`net`]: from a URL to a byte stream: proxies, TCP, TLS, one HTTP exchange.
//! - [`websocket`]: carries a session over a WebSocket.

mod clock;
mod endpoint;
pub mod net;
mod session;
pub mod websocket;

pub use clock::Clock;
pub use endpoint::{Ended, Endpoint, Frame, Outgoing};
pub use session::{EventSink, Line, OutgoingLimits, Session, Traffic};
