//! Keep-alive: when a silent peer is pinged, and when its connection counts as lost.
//!
//! A peer that sends anything at all is alive. How long it may be silent depends on whether this side
//! sends: of a line that went dead, whoever speaks has to know soon, and idle connections are to cost
//! nothing. By default, with the last frame read at 0 s:
//!
//! | | pinged at | lost at |
//! |---|---|---|
//! | while messages are sent | 5 s | 5 + 3 = 8 s |
//! | idle | 20 s | 20 + 20 = 40 s |
//!
//! Where sending begins on a connection that was silent for longer, the 5 s count from there. A line
//! that dies later than the last frame came is noticed sooner after that.

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
    /// The peer has sent nothing for this long after a ping.
    Dead(Duration),
}

/// How long a peer may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Before it is pinged.
    pub interval: Duration,
    /// After that.
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Ping {
    sent: Instant,
    answer_by: Instant,
}

/// The keep-alive state of a connection. Any data from the peer counts as activity, which puts off the
/// next ping but does not reset the timer: a busy connection pays nothing for it.
#[derive(Debug)]
pub(super) struct KeepAlive {
    /// `None`: nobody is pinged.
    idle: Option<Patience>,
    sending: Patience,
    last_activity: Instant,
    ping: Option<Ping>,
    /// This side has sent something since the last activity.
    is_unheard: bool,
    /// The patience is that of `sending`. It is until a check finds that nothing is unheard.
    is_sending: bool,
}

impl KeepAlive {
    pub fn new(idle: Option<Patience>, sending: Patience, now: Instant) -> Self {
        let idle = idle.filter(|idle| !idle.interval.is_zero());
        let longest = idle.unwrap_or(sending);
        Self {
            idle,
            // Whoever wants to know sooner when idle wants to know it when sending.
            sending: Patience {
                interval: sending.interval.min(longest.interval),
                timeout: sending.timeout.min(longest.timeout),
            },
            last_activity: now,
            ping: None,
            is_unheard: false,
            is_sending: false,
        }
    }

    /// Notes that something is sent. Returns whether [`begin_sending`](Self::begin_sending) is due:
    /// nothing was sent for a while.
    pub fn note_sent(&mut self) -> bool {
        self.is_unheard = true;
        !self.is_sending && self.idle.is_some()
    }

    /// The patience is that of sending from now on. Returns the new time of the next check.
    pub fn begin_sending(&mut self, now: Instant) -> Instant {
        self.is_sending = true;
        let Patience { interval, timeout } = self.sending;
        if let Some(ping) = &mut self.ping {
            let answer_by = later(later(now, interval), timeout);
            ping.answer_by = ping.answer_by.min(answer_by);
            return ping.answer_by;
        }
        let due = later(self.last_activity, interval);
        if due > now { due } else { later(now, interval) }
    }

    /// Notes that data arrived. Returns the new time of the next check if a ping was pending.
    pub fn note_activity(&mut self, now: Instant) -> Option<Instant> {
        self.last_activity = now;
        self.is_unheard = false;
        self.ping.take()?;
        Some(later(now, self.patience()?.interval))
    }

    fn patience(&self) -> Option<Patience> {
        let idle = self.idle?;
        Some(if self.is_sending { self.sending } else { idle })
    }

    /// Returns what is due now. `is_behind`: a ping may still wait behind what this side sends, so the
    /// peer has the time that it has when idle.
    pub fn check(&mut self, now: Instant, is_behind: impl FnOnce() -> bool) -> Due {
        let Some(idle) = self.idle else {
            return Due::Wait(later(now, NEVER));
        };
        if let Some(ping) = &mut self.ping {
            if now >= ping.answer_by {
                let at_last = later(ping.sent, idle.timeout);
                if now >= at_last || !is_behind() {
                    return Due::Dead(now - ping.sent);
                }
                ping.answer_by = later(now, self.sending.timeout).min(at_last);
            }
            return Due::Wait(ping.answer_by);
        }
        self.is_sending &= self.is_unheard;
        let Patience { interval, timeout } = if self.is_sending { self.sending } else { idle };
        let ping_at = later(self.last_activity, interval);
        if now < ping_at {
            return Due::Wait(ping_at);
        }
        let answer_by = later(now, timeout);
        self.ping = Some(Ping {
            sent: now,
            answer_by,
        });
        Due::Ping(answer_by)
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

    fn patience(interval: u32, timeout: u32) -> Patience {
        Patience {
            interval: interval * S,
            timeout: timeout * S,
        }
    }

    fn keep_alive(start: Instant) -> KeepAlive {
        KeepAlive::new(Some(patience(20, 20)), patience(5, 3), start)
    }

    /// What is due, with nothing that a ping could wait behind.
    fn check(alive: &mut KeepAlive, now: Instant) -> Due {
        alive.check(now, || false)
    }

    #[test]
    fn a_silent_peer_is_pinged_and_then_given_up() {
        let start = Instant::now();
        let mut alive = keep_alive(start);
        assert_eq!(check(&mut alive, start), Due::Wait(start + 20 * S));
        assert_eq!(check(&mut alive, start + 20 * S), Due::Ping(start + 40 * S));
        assert_eq!(check(&mut alive, start + 39 * S), Due::Wait(start + 40 * S));
        assert_eq!(check(&mut alive, start + 40 * S), Due::Dead(20 * S));
    }

    #[test]
    fn any_activity_puts_the_ping_off() {
        let start = Instant::now();
        let mut alive = keep_alive(start);
        assert_eq!(alive.note_activity(start + 15 * S), None);
        assert_eq!(check(&mut alive, start + 20 * S), Due::Wait(start + 35 * S));
        assert_eq!(check(&mut alive, start + 35 * S), Due::Ping(start + 55 * S));
        assert_eq!(alive.note_activity(start + 36 * S), Some(start + 56 * S));
        assert_eq!(check(&mut alive, start + 56 * S), Due::Ping(start + 76 * S));
    }

    #[test]
    fn without_an_interval_nothing_is_due_whether_this_side_sends_or_not() {
        let start = Instant::now();
        for idle in [None, Some(patience(0, 5))] {
            let mut alive = KeepAlive::new(idle, patience(5, 3), start);
            assert!(!alive.note_sent());
            let due = check(&mut alive, start + 1000 * S);
            assert!(matches!(due, Due::Wait(_)));
        }
    }

    #[test]
    fn while_this_side_sends_a_dead_line_is_noticed_after_eight_seconds() {
        let start = Instant::now();
        let mut alive = keep_alive(start);
        assert!(alive.note_sent());
        assert_eq!(alive.begin_sending(start + S), start + 5 * S);
        assert!(!alive.note_sent(), "it has begun");
        assert_eq!(check(&mut alive, start + 5 * S), Due::Ping(start + 8 * S));
        assert!(!alive.note_sent());
        assert_eq!(check(&mut alive, start + 8 * S), Due::Dead(3 * S));
    }

    #[test]
    fn a_peer_that_sends_anything_is_alive_whether_it_answers_pings_or_not() {
        let start = Instant::now();
        let mut alive = keep_alive(start);
        alive.note_sent();
        let mut at = alive.begin_sending(start);
        for second in 1..100 {
            let now = start + second * S;
            alive.note_sent();
            if now >= at {
                at = match check(&mut alive, now) {
                    Due::Wait(at) | Due::Ping(at) => at,
                    Due::Dead(_) => panic!("given up after {second} s"),
                };
            }
            // A frame every seven seconds: later than a ping, and no answer to it.
            if second % 7 == 0 {
                at = alive.note_activity(now).unwrap_or(at);
            }
        }
    }

    #[test]
    fn when_all_that_was_sent_was_heard_the_connection_is_idle_again() {
        let start = Instant::now();
        let mut alive = keep_alive(start);
        alive.note_sent();
        assert_eq!(alive.begin_sending(start), start + 5 * S);
        assert_eq!(alive.note_activity(start + S), None);
        assert_eq!(check(&mut alive, start + 5 * S), Due::Wait(start + 21 * S));
        // What is sent next counts again, and so does silence, from there.
        assert!(alive.note_sent());
        assert_eq!(alive.begin_sending(start + 15 * S), start + 20 * S);
        assert_eq!(check(&mut alive, start + 20 * S), Due::Ping(start + 23 * S));
        // The answer makes it idle, as nothing was sent since.
        assert_eq!(alive.note_activity(start + 21 * S), Some(start + 26 * S));
        assert_eq!(check(&mut alive, start + 26 * S), Due::Wait(start + 41 * S));
    }

    #[test]
    fn who_begins_to_send_does_not_wait_for_the_ping_of_an_idle_connection() {
        let start = Instant::now();
        let mut alive = keep_alive(start);
        assert_eq!(check(&mut alive, start + 20 * S), Due::Ping(start + 40 * S));
        assert!(alive.note_sent());
        assert_eq!(alive.begin_sending(start + 21 * S), start + 29 * S);
        assert_eq!(check(&mut alive, start + 29 * S), Due::Dead(9 * S));
        // A ping that is due sooner stays so.
        let mut alive = keep_alive(start);
        let _ = check(&mut alive, start + 20 * S);
        alive.note_sent();
        assert_eq!(alive.begin_sending(start + 39 * S), start + 40 * S);
    }

    #[test]
    fn a_ping_that_waits_behind_a_long_message_has_the_time_of_an_idle_connection() {
        let start = Instant::now();
        let mut alive = keep_alive(start);
        alive.note_sent();
        alive.begin_sending(start);
        let mut at = start + 5 * S;
        assert_eq!(check(&mut alive, at), Due::Ping(start + 8 * S));
        let dead = loop {
            match alive.check(at, || true) {
                Due::Wait(next) => at = next,
                Due::Dead(_) => break at,
                Due::Ping(_) => panic!("one ping is enough"),
            }
        };
        assert_eq!(dead, start + 25 * S);
    }

    #[test]
    fn a_shorter_patience_of_idle_connections_holds_while_this_side_sends() {
        let start = Instant::now();
        let mut alive = KeepAlive::new(Some(patience(2, 1)), patience(5, 3), start);
        alive.note_sent();
        assert_eq!(alive.begin_sending(start), start + 2 * S);
        assert_eq!(check(&mut alive, start + 2 * S), Due::Ping(start + 3 * S));
        assert_eq!(check(&mut alive, start + 3 * S), Due::Dead(S));
    }
}
