//! When a silent peer is pinged, and when it is given up.

use std::time::Duration;

use tokio::time::Instant;

/// A moment that does not come.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing until then.
    Wait(Instant),
    /// Ping the peer, then look again at that time.
    Ping(Instant),
    /// The peer has not answered in time.
    Dead,
}

/// Anything that arrives is a sign of life. The clock is only looked at when the alarm goes off,
/// so a busy connection pays nothing for it.
#[derive(Debug)]
pub(super) struct KeepAlive {
    interval: Option<Duration>,
    timeout: Duration,
    heard: Instant,
    pinged: Option<Instant>,
}

impl KeepAlive {
    pub fn new(interval: Option<Duration>, timeout: Duration, now: Instant) -> Self {
        let interval = interval.filter(|interval| !interval.is_zero());
        Self {
            interval,
            timeout,
            heard: now,
            pinged: None,
        }
    }

    /// Something arrived. Gives the time to look again where a ping has moved it.
    pub fn hear(&mut self, now: Instant) -> Option<Instant> {
        self.heard = now;
        self.pinged.take()?;
        Some(later(now, self.interval?))
    }

    /// What is due now.
    pub fn check(&mut self, now: Instant) -> Due {
        let Some(interval) = self.interval else {
            return Due::Wait(later(now, NEVER));
        };
        match self.pinged {
            Some(pinged) if now >= later(pinged, self.timeout) => Due::Dead,
            Some(pinged) => Due::Wait(later(pinged, self.timeout)),
            None if now >= later(self.heard, interval) => {
                self.pinged = Some(now);
                Due::Ping(later(now, self.timeout))
            }
            None => Due::Wait(later(self.heard, interval)),
        }
    }
}

/// A moment after `from`, also where the time is too long to reckon with.
pub(super) fn later(from: Instant, by: Duration) -> Instant {
    from + by.min(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_silent_peer_is_pinged_and_then_given_up() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(Some(20 * S), 5 * S, start);
        assert_eq!(alive.check(start), Due::Wait(start + 20 * S));
        assert_eq!(alive.check(start + 20 * S), Due::Ping(start + 25 * S));
        assert_eq!(alive.check(start + 24 * S), Due::Wait(start + 25 * S));
        assert_eq!(alive.check(start + 25 * S), Due::Dead);
    }

    #[test]
    fn anything_heard_puts_the_ping_off() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(Some(20 * S), 5 * S, start);
        assert_eq!(alive.hear(start + 15 * S), None);
        assert_eq!(alive.check(start + 20 * S), Due::Wait(start + 35 * S));
        assert_eq!(alive.check(start + 35 * S), Due::Ping(start + 40 * S));
        assert_eq!(alive.hear(start + 36 * S), Some(start + 56 * S));
        assert_eq!(alive.check(start + 56 * S), Due::Ping(start + 61 * S));
    }

    #[test]
    fn without_an_interval_nothing_is_due() {
        let start = Instant::now();
        for interval in [None, Some(Duration::ZERO)] {
            let mut alive = KeepAlive::new(interval, 5 * S, start);
            assert!(matches!(alive.check(start + 1000 * S), Due::Wait(_)));
        }
    }
}
