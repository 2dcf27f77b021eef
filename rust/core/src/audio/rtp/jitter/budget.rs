use std::time::Duration;

use crate::audio::opus::packet::CLOCK_RATE;

/// How much sound may be played out in a second, for as long as it comes, in percent of real time: a little
/// more, for the sender's clock is another one.
const PERCENT: u64 = 110;

/// The time in which a tick of sound is earned, in nanoseconds.
const NANOS_PER_TICK: u64 = 1_000_000_000 * 100 / (CLOCK_RATE as u64 * PERCENT);

/// Bounds the sound that is played out by the time that passes: to decode it, or to fill a gap, costs the same
/// whether its packets are long or short, and a packet of a few bytes may say that it has 120 ms.
#[derive(Clone, Copy, Debug)]
pub(super) struct SoundBudget {
    /// How far ahead of what is earned it may be.
    most: Duration,
    /// When all that was played out is earned.
    earned_at: Duration,
}

impl SoundBudget {
    pub(super) fn new(max_ahead: Duration) -> Self {
        Self {
            most: max_ahead.saturating_mul(100) / PERCENT as u32,
            earned_at: Duration::ZERO,
        }
    }

    /// Whether so much sound may be played out now. It is counted then.
    pub(super) fn takes(&mut self, ticks: i64, now: Duration) -> bool {
        let cost = Duration::from_nanos(ticks.unsigned_abs() * NANOS_PER_TICK);
        let earned_at = self.earned_at.max(now) + cost;
        let is_taken = earned_at <= now + self.most;
        if is_taken {
            self.earned_at = earned_at;
        }
        is_taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_a_little_more_than_real_time() {
        let at = Duration::from_millis;
        let mut budget = SoundBudget::new(at(1_000));
        let taken =
            |budget: &mut SoundBudget, now| (0..200).filter(|_| budget.takes(960, now)).count();
        assert_eq!(taken(&mut budget, at(0)), 50);
        assert_eq!(taken(&mut budget, at(500)), 27);
        // What was not used is not kept.
        assert_eq!(taken(&mut budget, at(60_000)), 50);
        // In real time it goes on for ever.
        let mut budget = SoundBudget::new(at(20));
        assert!((0..10_000).all(|n| budget.takes(960, at(20 * n))));
    }
}
