//! The minimum of the recent values of a signal.

use std::collections::VecDeque;
use std::time::Duration;

/// The time that one stored minimum covers.
const SPAN: Duration = Duration::from_millis(100);

/// The number of stored spans: two seconds of an uninterrupted signal. Time without values does not
/// count, so that a pause discards nothing.
const SPANS: usize = 20;

/// The minimum over the last two seconds in which there were values.
#[derive(Clone, Debug, Default)]
pub(super) struct RecentMinimum {
    /// The start and the minimum of each span; the newest is last.
    spans: VecDeque<(Duration, i64)>,
}

impl RecentMinimum {
    pub(super) fn observe(&mut self, value: i64, now: Duration) {
        match self.spans.back_mut() {
            Some((began, least)) if now.saturating_sub(*began) < SPAN => *least = value.min(*least),
            _ => {
                if self.spans.len() == SPANS {
                    self.spans.pop_front();
                }
                self.spans.push_back((now, value));
            }
        }
    }

    /// The minimum, or `None` before the first value.
    pub(super) fn get(&self) -> Option<i64> {
        self.spans.iter().map(|(_, least)| *least).min()
    }

    pub(super) fn clear(&mut self) {
        self.spans.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_expires_after_two_seconds_of_other_values() {
        let mut minimum = RecentMinimum::default();
        assert_eq!(minimum.get(), None);
        minimum.observe(5, Duration::ZERO);
        for tick in 1..100 {
            minimum.observe(9, Duration::from_millis(20 * tick));
            assert_eq!(minimum.get(), Some(5));
        }
        minimum.observe(9, Duration::from_secs(2));
        assert_eq!(minimum.get(), Some(9));
    }

    #[test]
    fn a_pause_discards_nothing() {
        let mut minimum = RecentMinimum::default();
        minimum.observe(5, Duration::ZERO);
        minimum.observe(9, Duration::from_secs(60));
        assert_eq!(minimum.get(), Some(5));
        minimum.clear();
        assert_eq!(minimum.get(), None);
    }
}
