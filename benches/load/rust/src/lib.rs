//! The load measurement: a server that speaks the realtime protocol to thousands of clients on one
//! core, and the bare client that is the limit of what a client can do.

pub mod certificate;
pub mod client;
pub mod clock;
pub mod connection;
pub mod conversation;
pub mod counts;
pub mod frame;
pub mod handshake;
pub mod inbound;
pub mod options;
pub mod outbox;
pub mod script;
