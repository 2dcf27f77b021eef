//! Drivers that carry a conversation over a network.

mod clock;
mod endpoint;
mod session;

pub use clock::Clock;
pub use endpoint::{Ended, Endpoint, Frame, Outgoing};
pub use session::{EventSink, Line, OutgoingLimits, Session, Traffic};
