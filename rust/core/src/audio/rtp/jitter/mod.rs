//! A jitter buffer for Opus over RTP: it takes packets as the network delivers them, and plays them out
//! in order, each when it is due.
//!
//! It does not feed a sound card. Its output goes to a user who has a buffer of their own, so it never
//! stretches or compresses sound: it delays each packet just long enough for nearly all slower packets
//! to arrive.
//!
//! # When a packet is due
//!
//! The transit time of a packet is its arrival by our clock minus its recording by the sender's clock:
//! `transit = arrival - timestamp / 48 kHz` (RFC 3550 section 6.4.1). The offset between the two clocks
//! is unknown. The *base* is the minimum transit time of the last two seconds; the excess of a packet
//! over it is the delay by the network. A packet is due at
//!
//! ```text
//! due = timestamp / 48 kHz + base + target
//! ```
//!
//! which is `target` after the arrival of the fastest packets, and never later than that after its own
//! arrival. Since the base covers two seconds only, it follows clock drift, which builds up no delay.
//!
//! The *target* is the 97 % quantile of the delays, from a histogram with bins of 2 ms in which the weight
//! of a packet fades by 0.997 with each packet that follows. This is the idea of WebRTC's `NetEQ` delay
//! manager, in finer steps because no sound card quantises the output. It rises within a quarter of a
//! second and falls within half a minute.
//!
//! # What is played out
//!
//! - The packet has arrived: it is played out.
//! - It has not arrived, but a later one has: it may still arrive until the one after it is due, which
//!   delays nothing else. Then it is lost. It is recovered from the copy in the next packet, if there is
//!   one (RFC 6716 section 2.1), otherwise concealed by the decoder. If it arrives after that, it is
//!   counted and dropped.
//! - No packet has arrived: either the sender has stopped or all packets are late; the two cannot be told
//!   apart. Nothing is played out, and packets that arrive late but in order are played out at once. So
//!   the end of an utterance gets no tail of concealed sound, and a stall of the network without loss
//!   loses nothing here.
//! - The last packet began a pause of discontinuous transmission (RFC 7587 section 3.1.3): the decoder's
//!   comfort noise is played out until sound arrives, at most for the half second that a sender may stay
//!   silent without a packet.
//!
//! A jump of the timestamps without a gap in the sequence is a pause. A gap that is in the past when it is
//! detected is filled only if it is short: filling a long one would play out its silence in one piece and
//! delay all sound after it.
//!
//! More than `max_ahead` of all this is not played out faster than time passes, whether it was received,
//! recovered or made up: packets beyond it are dropped, and gaps left. A sender can have sound that it does not
//! send, for a packet of a few bytes may have 120 ms, and a gap any length.
//!
//! # When the stream is replaced
//!
//! Another SSRC is another stream. A sequence number out of range is ignored until the next one confirms it
//! (RFC 3550 appendix A.1). A packet that is later than `max_delay` resets the base and leaves the target
//! unchanged: this happens after a pause if the sender's timestamps stand still while it is silent.

mod base;
mod budget;
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

/// The fields of an RTP packet that a jitter buffer uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtpPacket {
    pub ssrc: u32,
    pub sequence: u16,
    /// In ticks of 1/48,000 s.
    pub timestamp: u32,
    /// An Opus packet.
    pub payload: Bytes,
}

/// The result of inserting a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Insertion {
    /// It waits until it is due.
    Accepted,
    /// It arrived after it had been declared lost.
    Late,
    /// It had arrived before.
    Duplicate,
    /// It is not valid Opus, is longer than the buffer, or does not belong to the sequence.
    Rejected,
}

/// A frame of sound that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Playout {
    /// When its first sample was recorded, by the sender's clock, in ticks of 1/48,000 s.
    pub timestamp: u32,
    /// Its duration, in the same ticks: 2.5 to 120 ms.
    pub ticks: u32,
    /// When its packet arrived; `None` without a packet.
    pub arrived: Option<Duration>,
    pub content: Content,
}

/// The source of a frame's sound.
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
