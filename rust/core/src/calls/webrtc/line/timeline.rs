//! Where the page's sound stands on a clock that does not wrap.

/// Ticks of the RTP clock in a millisecond.
const TICKS_PER_MS: u64 = 48;

/// A clock that goes on where a stream is replaced.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// The timestamp of the last sound, and its place.
    newest: Option<(u32, u64)>,
    /// Where that sound ends.
    end: u64,
    /// How often another stream had begun then.
    restarts: u64,
}

impl Timeline {
    /// The place of sound of so many ticks, in milliseconds. `restarts`: how often another stream has begun,
    /// with a timestamp of any value (RFC 3550, section 5.1): its sound stands behind that of the one before.
    pub fn place(&mut self, timestamp: u32, ticks: u32, restarts: u64) -> u64 {
        let place = match self.newest {
            None => u64::from(u32::MAX),
            Some(_) if restarts != self.restarts => self.end,
            Some((last, place)) => {
                place.saturating_add_signed(i64::from(timestamp.wrapping_sub(last) as i32))
            }
        };
        self.newest = Some((timestamp, place));
        self.end = place + u64::from(ticks);
        self.restarts = restarts;
        place / TICKS_PER_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_wrap_and_pauses_count() {
        let mut timeline = Timeline::default();
        let begin = timeline.place(u32::MAX - 959, 960, 0);
        assert_eq!(timeline.place(0, 960, 0), begin + 20);
        assert_eq!(timeline.place(48_000, 960, 0), begin + 1_020);
        // One that comes late.
        assert_eq!(timeline.place(47_040, 960, 0), begin + 1_000);
    }

    #[test]
    fn a_stream_that_begins_anew_stands_behind_the_one_before() {
        let mut timeline = Timeline::default();
        let begin = timeline.place(1_000, 960, 0);
        assert_eq!(timeline.place(1_960, 960, 0), begin + 20);
        // Half an hour ahead, by a clock that has nothing to do with this one, and then far behind.
        assert_eq!(timeline.place(86_400_000, 960, 1), begin + 40);
        assert_eq!(timeline.place(86_400_960, 2_880, 1), begin + 60);
        assert_eq!(timeline.place(7, 960, 2), begin + 120);
    }
}
