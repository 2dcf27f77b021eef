//! Drivers that carry a conversation over a network.

mod endpoint;

pub use endpoint::{Endpoint, Ended, Frame, Outgoing};
