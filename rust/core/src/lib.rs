//! The core of stapes. Imports go downward only:
//! - [`calls`]: the caller's end: who may call.
//! - [`dispatch`]: the way of a session's events to the one thread that handles them.
//! - [`calls`]: the caller's end of a call: phones over carriers' media streams.
//! - [`session`]: one mutex, one order: carries a conversation over connections.
//! - [`conversation`]: the sans-IO state machine: events in, events and client messages out, time
//!   as an argument.
//! - [`transport`]: bytes on a network: WebSocket, WebRTC, and what both stand on.
//! - [`audio`]: pure functions and small streaming structs about sound; no async, no JSON.
//!
//! `conversation` and `transport` do not know each other; `session` joins them. [`delivery`] stands
//! beside all of them and knows none: queues and wake-ups between threads; `dispatch` joins the two.
//! [`buffer_pool`] is for all: buffers that are used again.

pub mod audio;
pub mod buffer_pool;
pub mod calls;
pub mod conversation;
pub mod delivery;
pub mod dispatch;
pub mod session;
pub mod transport;
