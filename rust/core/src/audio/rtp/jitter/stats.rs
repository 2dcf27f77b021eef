use std::time::Duration;

use crate::audio::opus::packet::CLOCK_RATE;

/// What a jitter buffer has seen and done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets that came, of whatever use.
    pub received: u64,
    /// Packets that were not there when it was their turn.
    pub lost: u64,
    /// Those of `lost` that came afterwards.
    pub late: u64,
    /// Packets that had come before.
    pub duplicates: u64,
    /// Packets that are no Opus, are longer than the buffer, or do not belong to the sequence.
    pub refused: u64,
    /// Packets that waited when the buffer was full or the stream was replaced.
    pub discarded: u64,
    /// How often another stream began: another SSRC, or a sequence that started anew.
    pub restarts: u64,
    /// Ticks of 1/48,000 s given out in all.
    pub ticks: u64,
    /// Those of `ticks` that were lost and not recovered.
    pub concealed_ticks: u64,
    /// Those of `ticks` that were lost and recovered from the packet that followed.
    pub recovered_ticks: u64,
    /// Those of `ticks` that fill pauses of discontinuous transmission.
    pub silence_ticks: u64,
    /// How long a packet that met no obstacle on its way waits now.
    pub target: Duration,
    /// How long the last packet has waited.
    pub delay: Duration,
}

impl JitterStats {
    /// The share of the sound that was guessed, 0 to 1.
    pub fn concealed_fraction(&self) -> f64 {
        if self.ticks == 0 {
            return 0.0;
        }
        self.concealed_ticks as f64 / self.ticks as f64
    }

    /// How long the sound is that was guessed.
    pub fn concealed(&self) -> Duration {
        span(self.concealed_ticks)
    }

    /// How long the sound is that was given out in all.
    pub fn sounded(&self) -> Duration {
        span(self.ticks)
    }
}

fn span(ticks: u64) -> Duration {
    Duration::from_micros(ticks * 1_000_000 / u64::from(CLOCK_RATE))
}
