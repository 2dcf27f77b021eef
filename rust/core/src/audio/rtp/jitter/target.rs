use std::time::Duration;

use super::JitterOptions;

/// The width of a bin, in microseconds.
const BIN: i64 = 2_000;

/// The factor by which each packet fades the earlier ones: the last three hundred packets, or six
/// seconds, have more than half of the weight.
const FORGETTING: f32 = 0.997;

/// The share of packets that may come later than the target.
const LATE: f32 = 0.03;

/// The delay within which nearly all packets arrive: a quantile of a histogram of delays in which old
/// ones fade.
#[derive(Clone, Debug)]
pub(super) struct TargetDelay {
    /// The share of packets whose delay ends in each bin; their sum is one.
    bins: Box<[f32]>,
    /// The number of packets observed; saturating.
    observed: u16,
    least: Duration,
    greatest: Duration,
    target: Duration,
}

impl TargetDelay {
    pub(super) fn new(options: &JitterOptions) -> Self {
        let greatest = options.max_delay.as_micros() as i64;
        let mut bins = vec![0.0; bin(greatest) + 1].into_boxed_slice();
        bins[bin(options.start_delay.as_micros() as i64)] = 1.0;
        Self {
            bins,
            observed: 0,
            least: options.min_delay,
            greatest: options.max_delay,
            target: options.start_delay,
        }
    }

    /// Notes a packet that was `delay` microseconds slower than the fastest of its time.
    pub(super) fn observe(&mut self, delay: i64) {
        self.observed = self.observed.saturating_add(1);
        // The first packets have equal weight, so that they soon replace the start value.
        let keep = (1.0 - 1.0 / (f32::from(self.observed) + 1.0)).min(FORGETTING);
        for share in &mut self.bins {
            *share *= keep;
        }
        let last = self.bins.len() - 1;
        self.bins[bin(delay).min(last)] += 1.0 - keep;
        self.target = self.quantile().clamp(self.least, self.greatest);
    }

    pub(super) fn get(&self) -> Duration {
        self.target
    }

    /// The upper end of the bin that all but a share of `LATE` of the packets lie below.
    fn quantile(&self) -> Duration {
        let mut above = 0.0;
        let inside = self.bins.iter().rposition(|share| {
            above += share;
            above > LATE
        });
        Duration::from_micros((inside.unwrap_or(0) as i64 + 1).saturating_mul(BIN) as u64)
    }
}

/// The index of a delay's bin. Bin `n` covers delays above `n * BIN` up to `(n + 1) * BIN`; the first
/// also includes zero.
fn bin(delay: i64) -> usize {
    ((delay.max(1) - 1) / BIN) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> TargetDelay {
        TargetDelay::new(&JitterOptions::default())
    }

    fn after(target: &mut TargetDelay, packets: usize, delay: i64) -> u128 {
        for _ in 0..packets {
            target.observe(delay);
        }
        target.get().as_millis()
    }

    #[test]
    fn it_starts_as_told_and_settles_at_the_least_on_a_clean_path() {
        let mut target = target();
        assert_eq!(target.get().as_millis(), 40);
        assert_eq!(after(&mut target, 20, 0), 40);
        assert_eq!(after(&mut target, 30, 0), 20);
    }

    #[test]
    fn it_rises_within_a_quarter_of_a_second_and_falls_within_half_a_minute() {
        let mut target = target();
        assert_eq!(after(&mut target, 1_000, 0), 20);
        assert_eq!(after(&mut target, 12, 90_000), 90);
        assert_eq!(after(&mut target, 60, 90_000), 90);
        assert_eq!(after(&mut target, 1_500, 0), 20);
    }

    #[test]
    fn a_delay_that_is_rare_does_not_raise_it() {
        let mut target = target();
        after(&mut target, 1_000, 5_000);
        for _ in 0..20 {
            target.observe(150_000);
            assert_eq!(after(&mut target, 99, 5_000), 20);
        }
    }

    #[test]
    fn it_stays_within_its_bounds() {
        assert_eq!(after(&mut target(), 1_000, i64::MAX), 200);
        assert_eq!(after(&mut target(), 1_000, -5), 20);
    }
}
