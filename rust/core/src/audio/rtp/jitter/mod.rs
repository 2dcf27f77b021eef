//! A jitter buffer for Opus over RTP: packets in, as the network brings them; their sound in order, each
//! at its time.
//!
//! It is not a sound card's. What it gives out is handed to a user who has a buffer of their own, so
//! it never segments sound: it delays each packet by so much that nearly all those that are slower have
//! come by then, and no more.
//!
//! # When a packet is due
//!
//! The transit time of a packet is when it came, by our clock, less when it was recorded, by its
//! timestamp: `transit = arrival - timestamp / 48 kHz` (RFC 3550 section 6.4.1). Its constant is unknown,
//! because the clocks are two; the *base* is the least transit time of the last two seconds, and by
//! as much as a packet exceeds it the network has delayed that packet. A packet is due at
//!
//! ```text
//! due = timestamp / 48 kHz + base + target
//! ```
//!
//! which is `target` after the arrival of the fastest packets, and never more after that of any. Since
//! the base is of the last two seconds, a clock that is wrong moves it along and builds up no delay.
//!
//! The *target* is the quantile of the delays that 97 % of packets stay within, from a histogram of bins of
//! 2 ms in which a packet's share fades by 0.997 with each that follows: the idea of `NetEQ`'s delay
//! manager in WebRTC, in finer steps because nothing is quantised by a sound card. It rises within a quarter
//! of a second and falls within half a minute.
//!
//! # What happens at that time
//!
//! - The packet is there: it is given out.
//! - It is not, but one that follows it is: until the one after it is due it may still come, which delays
//!   nothing else. Then it is lost. It is recovered from the copy in the next packet, if that has one
//!   (RFC 6716 section 2.1), else concealed by the decoder. If it comes later still, it is counted
//!   and dropped.
//! - Nothing is there: either the sender has stopped or all are late, and nobody can tell which. Nothing is
//!   given out, and what comes late but in order is given out at once. So the end of an utterance gets no
//!   tail of guessed sound, and a stall of the network that loses nothing loses nothing here.
//! - The last packet began a pause of discontinuous transmission (RFC 7587 section 3.1.3): silence is given out
//!   in the decoder's comfort noise until sound comes, or as long as the sender may be silent without a
//!   sign of life, half a second.
//!
//! Timestamps that jump over a pause without a gap in the sequence are a pause. A gap that is over before it
//! is known is filled only if it is short: filling a long one would give out its silence in one piece, and
//! who listens would hear everything later from then on.
//!
//! # When the stream is replaced
//!
//! Another SSRC is another stream. A sequence number out of range is not believed until the next one
//! confirms it (RFC 3550 appendix A.1). A timestamp that comes later than `max_delay` allows, as after a pause
//! of a sender whose timestamps stand still while it is silent, moves the base and leaves the target alone.

mod base;
mod buffer;
mod options;
mod order;
mod stats;
mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

pub use buffer::JitterBuffer;
pub use options::{JitterError, JitterOptions};
pub use stats::JitterStats;

/// What a jitter buffer needs of an RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpPacket {
    pub ssrc: u32,
    pub sequence: u16,
    /// In ticks of 1/48,000 s.
    pub timestamp: u32,
    /// An Opus packet.
    pub payload: Bytes,
}

/// What became of a packet that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// It waits for its turn.
    Accepted,
    /// Its turn is past: it was given up for lost.
    Late,
    /// It had come before.
    Duplicate,
    /// It is no Opus packet, is longer than the buffer, or does not belong to the sequence.
    Rejected,
}

/// The next piece of sound, whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playout {
    /// When its first sample was recorded, by the sender's clock, in ticks of 1/48,000 s.
    pub timestamp: u32,
    /// How long it is, in the same ticks: 2.5 to 120 ms.
    pub ticks: u32,
    /// When it came; `None` for what did not come.
    pub arrived: Option<Duration>,
    pub content: Content,
}

/// What a piece of sound is to be made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An Opus packet.
    Packet(Bytes),
    /// A lost packet whose copy is in this one, the next.
    Recovered(Bytes),
    /// A lost packet.
    Concealed,
    /// A pause of discontinuous transmission.
    Silence,
}
