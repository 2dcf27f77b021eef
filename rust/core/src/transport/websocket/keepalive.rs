//! Keep-alive: when a silent peer is pinged, and when its connection counts as lost.

use std::time::Duration;

use tokio::time::Instant;

/// A time so far ahead that it never comes.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What the keep-alive timer has to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing; check again at this time.
    Wait(Instant),
    /// Ping the peer; check again at this time.
    Ping(Instant),
    /// The peer has sent nothing within the timeout of a ping.
    Dead,
}

/// The keep-alive state of a connection. Any data from the peer counts as activity, which puts off the
/// next ping but does not reset the timer: a busy connection pays nothing for it.
#[derive(Debug)]
pub(super) struct KeepAlive {
    interval: Option<Duration>,
    timeout: Duration,
    last_activity: Instant,
    pinged: Option<Instant>,
}

impl KeepAlive {
    pub fn new(interval: Option<Duration>, timeout: Duration, now: Instant) -> Self {
        let interval = interval.filter(|interval| !interval.is_zero());
        Self {
            interval,
            timeout,
            last_activity: now,
            pinged: None,
        }
    }

    /// Notes that data arrived. Returns the new time of the next check if a ping was pending.
    pub fn note_activity(&mut self, now: Instant) -> Option<Instant> {
        self.last_activity = now;
        self.pinged.take()?;
        Some(later(now, self.interval?))
    }

    /// Returns what is due now.
    pub fn check(&mut self, now: Instant) -> Due {
        let Some(interval) = self.interval else {
            return Due::Wait(later(now, NEVER));
        };
        match self.pinged {
            Some(pinged) if now >= later(pinged, self.timeout) => Due::Dead,
            Some(pinged) => Due::Wait(later(pinged, self.timeout)),
            None if now >= later(self.last_activity, interval) => {
                self.pinged = Some(now);
                Due::Ping(later(now, self.timeout))
            }
            None => Due::Wait(later(self.last_activity, interval)),
        }
    }
}

/// `from` plus `by`, which is capped so that the sum cannot overflow.
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
    fn any_activity_puts_the_ping_off() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(Some(20 * S), 5 * S, start);
        assert_eq!(alive.note_activity(start + 15 * S), None);
        assert_eq!(alive.check(start + 20 * S), Due::Wait(start + 35 * S));
        assert_eq!(alive.check(start + 35 * S), Due::Ping(start + 40 * S));
        assert_eq!(alive.note_activity(start + 36 * S), Some(start + 56 * S));
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
