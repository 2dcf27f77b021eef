//! The bare client: it reads frames and drops them, and sends frames that are encoded before. No
//! client on the same WebSocket library can need less.

pub mod options;
pub mod report;
pub mod session;
pub mod socket;
pub mod ticker;
