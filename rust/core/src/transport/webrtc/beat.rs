//! The beats of a clock that all calls of the process share.
//!
//! Waking a thread costs more than what it then does for one call: a process with ten calls is woken
//! 200 times a second for their sound in place of 500 times, and one with a hundred in place of
//! thousands of times.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// The time from one beat to the next.
const BEAT: Duration = Duration::from_millis(5);

/// How far from its nearest beat anything can be.
pub(super) const HALF: Duration = Duration::from_micros(2_500);

/// The beats, as times since a call's beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beats {
    /// How long before the call's beginning the last beat was.
    before: Duration,
}

impl Beats {
    /// For a call that begins at `beginning`.
    pub fn new(beginning: Instant) -> Self {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        let since = beginning.saturating_duration_since(*FIRST.get_or_init(|| beginning));
        Self {
            before: rest(since),
        }
    }

    /// The first beat at `time` or after it.
    pub fn at_or_after(&self, time: Duration) -> Duration {
        match rest(time + self.before) {
            Duration::ZERO => time,
            over => time + BEAT.saturating_sub(over),
        }
    }
}

/// How long before `time` the last beat was.
fn rest(time: Duration) -> Duration {
    Duration::from_nanos((time.as_nanos() % BEAT.as_nanos()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_begin_at_any_time_have_the_same_beats() {
        let first = Instant::now();
        let one = Beats::new(first);
        let later = Duration::from_micros(13_700);
        let other = Beats::new(first + later);
        for micros in (0..60_000).step_by(300) {
            let since = Duration::from_micros(micros);
            let at = later + since;
            let beat = one.at_or_after(at);
            assert!(beat >= at && beat < at + BEAT);
            assert_eq!(one.at_or_after(beat), beat);
            assert_eq!(other.at_or_after(since) + later, beat);
        }
    }
}
