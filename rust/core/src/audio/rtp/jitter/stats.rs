use std::time::Duration;

use crate::audio::opus::packet::CLOCK_RATE;

/// The counters and the current delays of a jitter buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// All packets that arrived.
    pub received: u64,
    /// Packets that had not arrived when they were due.
    pub lost: u64,
    /// Those of `lost` that arrived afterwards.
    pub late: u64,
    /// Packets that had arrived before.
    pub duplicates: u64,
    /// Packets that are not valid Opus, are longer than the buffer, or do not belong to the sequence.
    pub refused: u64,
    /// Waiting packets that were dropped because the buffer was full or the stream was replaced.
    pub discarded: u64,
    /// Waiting packets that were dropped because they have more sound than there was time for.
    pub too_fast: u64,
    /// How often another stream began: another SSRC, or a new sequence.
    pub restarts: u64,
    /// All sound that was played out, in ticks of 1/48,000 s.
    pub ticks: u64,
    /// Those of `ticks` that were lost and not recovered.
    pub concealed_ticks: u64,
    /// Those of `ticks` that were lost and recovered from the packet that followed.
    pub recovered_ticks: u64,
    /// Those of `ticks` that fill pauses of discontinuous transmission.
    pub silence_ticks: u64,
    /// Sound that was lost in gaps too long to be filled, in the same ticks. It is no part of `ticks`.
    pub missing_ticks: u64,
    /// The current target delay: how long a packet of minimum transit time waits.
    pub target: Duration,
    /// How long the last packet waited.
    pub delay: Duration,
}

impl JitterStats {
    /// The share of the sound that was concealed, 0 to 1.
    pub fn concealed_fraction(&self) -> f64 {
        if self.ticks == 0 {
            return 0.0;
        }
        self.concealed_ticks as f64 / self.ticks as f64
    }

    /// The duration of the concealed sound.
    pub fn concealed(&self) -> Duration {
        span(self.concealed_ticks)
    }

    /// The duration of the sound that was lost and not filled.
    pub fn missing(&self) -> Duration {
        span(self.missing_ticks)
    }

    /// The duration of all sound that was played out.
    pub fn sounded(&self) -> Duration {
        span(self.ticks)
    }
}

fn span(ticks: u64) -> Duration {
    Duration::from_micros(ticks * 1_000_000 / u64::from(CLOCK_RATE))
}
