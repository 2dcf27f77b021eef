//! The bitrate of the user's sound, by what the far side reports of it (RTCP receiver reports).
//!
//! The loss-based controller of Google's congestion control (draft-ietf-rmcat-gcc-02, section 6): more than
//! 10 % loss lowers the rate, less than 2 % raises it, and between these it is held. It departs from it in
//! two ways. A high loss lowers the rate to what has arrived at once: a voice is one stream of known
//! overhead, and each report may be seconds apart. And a network that queues in place of losing is noticed
//! by the round trip, which then is longer than it was.
//!
//! Loss that lasts is not one's own: then packets carry a copy of the one before (FEC).

use std::time::Duration;

/// Losses, as shares: above the first the rate is lowered, below the second it is raised.
const HIGH_LOSS: f64 = 0.10;
const LOW_LOSS: f64 = 0.02;

/// What is left of what arrived, so that queues become empty.
const MARGIN: f64 = 0.95;

/// How far the round trip may be above its shortest, and what the rate is lowered by beyond.
const QUEUE: Duration = Duration::from_millis(150);
const BACK_OFF: f64 = 0.85;

/// How much higher the rate is after a second without loss, and near one that was too high.
const RISE: f64 = 1.08;
const CAREFUL_RISE: f64 = 1.02;

/// The share of a rate that was too high from which on it is near.
const NEAR: f64 = 0.9;

/// How long a rate counts as too high, and a round trip as possible.
const MEMORY: Duration = Duration::from_secs(60);

/// The longest time between two reports that counts.
const LONGEST: Duration = Duration::from_secs(5);

/// What RTP, SRTP, UDP and IP add to packets of 20 ms, in bits per second.
const OVERHEAD: f64 = 20_000.0;

/// FEC begins with that many reports in a row of more than this loss, and ends after this time with less
/// than that.
const FEC_REPORTS: u32 = 3;
const FEC_LOSS: f64 = 0.04;
const NO_LOSS: f64 = 0.01;
const FEC_AFTER: Duration = Duration::from_secs(10);

/// What the far side reports.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// The share of packets that were lost since the report before, 0 to 1.
    pub lost: f64,
    /// The variation of their delay (RFC 3550, section 6.4.1).
    pub jitter: Duration,
    /// How long a packet takes there and back, where that is known.
    pub round_trip: Option<Duration>,
}

/// How the sound is to be encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Bits per second.
    pub bitrate: u32,
    /// Whether packets are to carry a copy of the one before.
    pub fec: bool,
    /// The share of lost packets that is expected, 0 to 1.
    pub loss: f64,
}

/// Follows the reports of one stream. Time is an argument.
#[derive(Clone, Debug)]
pub struct RateController {
    least: f64,
    most: f64,
    rate: f64,
    /// The loss of late, as a share.
    loss: f64,
    last: Option<Duration>,
    /// Above which rate something was lost, and when.
    too_high: Option<(f64, Duration)>,
    /// The shortest round trip, and when it was.
    shortest: Option<(Duration, Duration)>,
    lossy_reports: u32,
    /// Since when nothing is lost.
    clean_since: Option<Duration>,
    fec: bool,
}

impl RateController {
    /// A controller between these bitrates, which begins with the highest.
    pub fn new(least: u32, most: u32) -> Self {
        let most = f64::from(most);
        Self {
            least: f64::from(least).min(most),
            most,
            rate: most,
            loss: 0.0,
            last: None,
            too_high: None,
            shortest: None,
            lossy_reports: 0,
            clean_since: None,
            fec: false,
        }
    }

    /// Takes a report.
    pub fn report(&mut self, report: Report, now: Duration) -> Target {
        let lost = report.lost.clamp(0.0, 1.0);
        let since = self
            .last
            .map_or(Duration::ZERO, |last| now.saturating_sub(last));
        self.last = Some(now);
        let is_queueing = self.is_queueing(report.round_trip, now);
        if lost > HIGH_LOSS {
            let arrived = (self.rate + OVERHEAD) * (1.0 - lost) - OVERHEAD;
            self.lower(arrived, now);
        } else if is_queueing {
            self.lower(self.rate * BACK_OFF, now);
        } else if lost < LOW_LOSS {
            self.raise(since.min(LONGEST), now);
        } else if self.too_high.is_some_and(|(rate, _)| self.rate > rate) {
            self.rate = (self.rate * MARGIN).max(self.least);
        }
        self.follow_loss(lost, now);
        self.target()
    }

    pub fn target(&self) -> Target {
        Target {
            bitrate: self.rate as u32,
            fec: self.fec,
            loss: self.loss,
        }
    }

    /// Lowers the rate below one that the network seems to carry.
    fn lower(&mut self, carried: f64, now: Duration) {
        let carried = carried.clamp(self.least, self.rate);
        self.too_high = Some((carried, now));
        self.rate = (carried * MARGIN).max(self.least);
    }

    fn raise(&mut self, since: Duration, now: Duration) {
        self.too_high = self
            .too_high
            .filter(|(_, at)| now.saturating_sub(*at) < MEMORY);
        let is_near = |(rate, _): (f64, Duration)| self.rate > NEAR * rate;
        let rise = if self.too_high.is_some_and(is_near) {
            CAREFUL_RISE
        } else {
            RISE
        };
        self.rate = (self.rate * rise.powf(since.as_secs_f64())).min(self.most);
    }

    fn is_queueing(&mut self, round_trip: Option<Duration>, now: Duration) -> bool {
        let Some(round_trip) = round_trip else {
            return false;
        };
        let is_shortest = |(shortest, at): (Duration, Duration)| {
            round_trip <= shortest || now.saturating_sub(at) > MEMORY
        };
        if self.shortest.is_none_or(is_shortest) {
            self.shortest = Some((round_trip, now));
        }
        self.shortest
            .is_some_and(|(shortest, _)| round_trip > shortest + QUEUE.max(shortest))
    }

    fn follow_loss(&mut self, lost: f64, now: Duration) {
        self.loss = 0.7 * self.loss + 0.3 * lost;
        self.lossy_reports = if lost > FEC_LOSS {
            self.lossy_reports + 1
        } else {
            0
        };
        self.fec |= self.lossy_reports >= FEC_REPORTS;
        if lost > NO_LOSS {
            self.clean_since = None;
        } else if now.saturating_sub(*self.clean_since.get_or_insert(now)) >= FEC_AFTER {
            self.fec = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Reports of a link of `capacity` bits per second, which loses what is too much.
    fn over(link: f64, seconds: u64) -> Vec<Target> {
        let mut controller = RateController::new(16_000, 72_000);
        (0..seconds)
            .map(|second| {
                let sent = controller.rate + OVERHEAD;
                let lost = (1.0 - link / sent).max(0.0);
                let report = Report {
                    lost,
                    ..Report::default()
                };
                controller.report(report, secs(second))
            })
            .collect()
    }

    #[test]
    fn a_narrow_link_is_filled_and_not_overfilled() {
        let targets = over(60_000.0, 120);
        for (second, target) in targets.iter().enumerate() {
            // It carries 40 kbit/s of sound: less than a twentieth is lost, and most of it is used.
            assert!(
                (34_000..44_000).contains(&target.bitrate),
                "{second}: {target:?}"
            );
            assert!(!target.fec, "{second}");
        }
    }

    #[test]
    fn the_rate_falls_to_its_least_and_rises_to_its_most() {
        let narrow = over(20_000.0, 20);
        assert_eq!(narrow.last().unwrap().bitrate, 16_000);
        let mut controller = RateController::new(16_000, 72_000);
        controller.report(
            Report {
                lost: 0.9,
                ..Report::default()
            },
            secs(0),
        );
        assert_eq!(controller.target().bitrate, 16_000);
        for second in 1..300 {
            controller.report(Report::default(), secs(second));
        }
        assert_eq!(controller.target().bitrate, 72_000);
    }

    #[test]
    fn a_little_loss_holds_the_rate_and_brings_fec_while_it_lasts() {
        let mut controller = RateController::new(16_000, 72_000);
        let mut at = |lost: f64, second: u64| {
            controller.report(
                Report {
                    lost,
                    ..Report::default()
                },
                secs(second),
            )
        };
        for second in 0..2 {
            assert!(!at(0.06, second).fec);
        }
        let lossy = at(0.06, 2);
        assert!(
            lossy.fec && lossy.bitrate == 72_000 && lossy.loss > 0.03,
            "{lossy:?}"
        );
        for second in 3..13 {
            assert!(at(0.0, second).fec, "{second}");
        }
        assert!(!at(0.0, 13).fec);
    }

    #[test]
    fn a_queue_is_noticed_by_the_round_trip() {
        let mut controller = RateController::new(16_000, 72_000);
        let mut at = |millis: u64, second: u64| {
            let round_trip = Some(Duration::from_millis(millis));
            let report = Report {
                round_trip,
                ..Report::default()
            };
            controller.report(report, secs(second)).bitrate
        };
        assert_eq!((at(40, 0), at(180, 1)), (72_000, 72_000));
        assert_eq!(at(400, 2), 58_140);
        assert_eq!(at(500, 3), 46_948);
        assert!(at(60, 4) > 46_948);
        // A longer way is no queue.
        for second in 100..170 {
            at(900, second);
        }
        assert!(at(900, 171) > at(900, 170) || at(900, 172) == 72_000);
    }

    #[test]
    fn bounds_that_are_one_hold_the_rate() {
        let mut controller = RateController::new(16_000, 12_000);
        let report = Report {
            lost: 0.5,
            ..Report::default()
        };
        assert_eq!(controller.report(report, secs(0)).bitrate, 12_000);
    }
}
