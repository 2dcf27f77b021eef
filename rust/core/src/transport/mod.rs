//! Drivers that carry a conversation over a network.
//!
//! - [`net`]: from a URL to a byte stream: proxies, TCP, TLS, one HTTP exchange.
//! - [`websocket`]: carries a session over a WebSocket.

mod endpoint;
pub mod net;
pub mod websocket;

pub use endpoint::{Ended, Endpoint, Frame, Outgoing};
