//! The way of a session's events to the one thread that handles them: it joins the session with
//! delivery.
//!
//! - [`DispatchedSession`]: a session whose events go to a [`MessageHub`].
//! - [`DispatchedCall`], [`DispatchedCallServer`]: calls of the same kind.
//! - [`Message`]: an event of the session, or a [`Notice`] of how its calls went.
//! - [`SessionCarrier`]: what runs a session.
//! - [`DispatchProgress`]: how far its reader has come.

mod calls;
mod carrier;
mod message;
mod progress;
mod session;
mod sink;

pub use calls::{DispatchedCall, DispatchedCallServer};
pub use carrier::{SessionCarrier, carrier, next_worker};
pub use message::{Message, MessageHub, Notice};
pub use progress::DispatchProgress;
pub use session::{DispatchedSession, QueueBounds, SessionOptions};
