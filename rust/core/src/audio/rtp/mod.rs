//! Opus over RTP: PCM to packets on the way out, packets to PCM on the way in.

pub mod following;
pub mod jitter;
mod minimum;
pub mod rate;
pub mod receiver;
pub mod sender;
