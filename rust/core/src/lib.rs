//! The core of stapes. It knows no Python.
//!
//! Three floors, each of which imports only downward:
//! - [`audio`]: pure functions and small streaming structs about sound; no async, no JSON.
//! - [`conversation`]: the sans-IO state machine: events in, events and client messages out, time
//!   as an argument.
//! - [`transport`]: tokio drivers that carry a conversation over a network.
//!
//! [`delivery`] stands beside them and knows none of them: queues and wake-ups between threads.

pub mod audio;
pub mod conversation;
pub mod delivery;
pub mod transport;
