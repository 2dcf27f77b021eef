//! How fast the far end may send: sound about in real time, messages now and then.

use std::time::Duration;

/// What may come at once, and what of it comes again in a second.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    most: f64,
    per_second: f64,
    left: f64,
    since: Duration,
}

impl Rate {
    pub fn new(most: f64, per_second: f64, now: Duration) -> Self {
        Self {
            most,
            per_second,
            left: most,
            since: now,
        }
    }

    /// Whether so much more may come now.
    pub fn take(&mut self, amount: f64, now: Duration) -> bool {
        let passed = now.saturating_sub(self.since).as_secs_f64();
        self.since = self.since.max(now);
        self.left = (self.left + passed * self.per_second).min(self.most);
        let is_allowed = amount <= self.left;
        if is_allowed {
            self.left -= amount;
        }
        is_allowed
    }

    /// So much has come that could not be refused: what comes next may have to wait for it.
    pub fn charge(&mut self, amount: f64) {
        self.left -= amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_what_comes_again_with_time() {
        let at = Duration::from_millis;
        let mut rate = Rate::new(3.0, 2.0, at(0));
        assert!((0..3).all(|_| rate.take(1.0, at(0))));
        assert!(!rate.take(1.0, at(499)));
        assert!(rate.take(1.0, at(500)));
        assert!(!rate.take(1.0, at(500)));
        assert!(rate.take(3.0, at(60_000)));
        assert!(!rate.take(0.5, at(60_000)));
        rate.charge(2.0);
        assert!(!rate.take(0.5, at(61_000)));
        assert!(rate.take(0.5, at(61_250)));
    }
}
