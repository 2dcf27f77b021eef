//! The WebRTC transport on real sockets: two peers of ours, and a small HTTP server that answers
//! offers.

#![cfg(feature = "webrtc")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod carrying;
mod closing;
mod loss;
mod messages;
mod moving;
mod refusals;
mod sound;
mod support;
