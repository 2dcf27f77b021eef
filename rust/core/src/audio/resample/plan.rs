//! The filter for a ratio: one plan for all streams of that ratio.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::bank::{self, Bank, BankScratch};
use super::design;
use super::rows::Rows;
use super::simd::{Isa, LANES};

/// More coefficients than this (4 MiB) are refused: only rates without a common divisor need them.
pub const MAX_COEFFICIENTS: usize = 1 << 20;

/// Plans in use, by interpolation and decimation factor.
type Cache = HashMap<(usize, usize), Weak<Plan>>;

/// How to convert by the factor `up / down`.
///
/// Output sample `n` lies at `n * down / up` input samples. The fraction, in units of `1 / up`, is its
/// phase and picks its taps; the integer is where its window of `taps` input samples begins.
#[derive(Debug)]
pub struct Plan {
    /// Interpolation factor: the number of phases.
    pub up: usize,
    /// Decimation factor.
    pub down: usize,
    /// Input samples in a window.
    pub taps: usize,
    /// The filter's centre, in units of `1 / up` input samples: its delay.
    pub centre: usize,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    Bank(Bank),
    Rows(Rows),
}

impl Plan {
    /// The plan for a ratio in lowest terms, or `None` if it would exceed [`MAX_COEFFICIENTS`].
    pub fn shared(up: usize, down: usize) -> Option<Arc<Self>> {
        // Weak: a ratio that no stream uses costs no memory, and its plan is cheap to compute again.
        static PLANS: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

        let taps = (design::SPAN * up.max(down))
            .div_ceil(up)
            .next_multiple_of(LANES);
        if taps.checked_mul(up)? > MAX_COEFFICIENTS {
            return None;
        }
        let mut plans = PLANS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&(up, down)).and_then(Weak::upgrade) {
            return Some(plan);
        }
        let plan = Arc::new(Self::new(up, down, taps));
        plans.retain(|_, unused| unused.strong_count() > 0);
        plans.insert((up, down), Arc::downgrade(&plan));
        Some(plan)
    }

    /// The number of outputs whose windows lie within `input` samples, if the first has the phase `phase`
    /// and a window that begins with the first sample.
    pub fn ready(&self, input: usize, phase: usize) -> usize {
        let windows = (input + 1).saturating_sub(self.taps);
        (windows * self.up)
            .saturating_sub(phase)
            .div_ceil(self.down)
    }

    /// Computes `out.len()` samples, at most as many as are [`ready`](Self::ready).
    pub fn run(
        &self,
        isa: Isa,
        input: &[f32],
        phase: usize,
        out: &mut [f32],
        scratch: &mut BankScratch,
    ) {
        match &self.layout {
            Layout::Bank(bank) => bank.run(isa, input, phase, out, scratch),
            Layout::Rows(rows) => rows.run(isa, input, phase, out),
        }
    }

    fn new(up: usize, down: usize, taps: usize) -> Self {
        // Only one in `up` samples of the oversampled input is not zero: the gain makes up for it.
        let prototype = design::prototype(up.max(down), up as f64);
        let mut rows = vec![0.0; up * taps];
        for phase in 0..up {
            let phase_taps = prototype.iter().skip(phase).step_by(up);
            let row = &mut rows[phase * taps..][..taps];
            for (tap, place) in phase_taps.zip(row.iter_mut().rev()) {
                *place = *tap as f32;
            }
        }
        let row = |phase: usize| &rows[phase * taps..][..taps];
        let layout = if up.max(down) <= bank::MAX_FACTOR {
            Layout::Bank(Bank::new(up, down, row))
        } else {
            Layout::Rows(Rows::new(up, down, row))
        };
        Self {
            up,
            down,
            taps,
            centre: (prototype.len() - 1) / 2,
            layout,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::resample::simd::Portable;

    #[test]
    fn streams_of_one_ratio_share_one_plan() {
        let first = Plan::shared(2, 1).unwrap();
        let second = Plan::shared(2, 1).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn a_ratio_that_needs_a_huge_table_is_refused() {
        assert!(Plan::shared(47_999, 48_000).is_none());
    }

    proptest! {
        /// On a CPU without a faster instruction set both sides are the portable one.
        #[test]
        fn every_instruction_set_gives_the_same_bits(
            (up, down) in prop::sample::select(vec![
                (2, 1), (1, 2), (1, 6), (2, 3), (3, 4), (31, 32), (80, 147), (147, 80), (441, 80),
            ]),
            input in prop::collection::vec(-1.0_f32..1.0, 1..1500),
            phase: prop::sample::Index,
        ) {
            let plan = Plan::shared(up, down).unwrap();
            let phase = phase.index(up);
            let ready = plan.ready(input.len(), phase);
            let outputs = [Isa::Portable(Portable), Isa::detect()].map(|isa| {
                let mut out = vec![0.0; ready];
                plan.run(isa, &input, phase, &mut out, &mut BankScratch::default());
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            });
            prop_assert_eq!(&outputs[0], &outputs[1]);
        }

        /// The two layouts round differently, but they are the same filter: the textbook sum.
        #[test]
        fn every_layout_is_the_textbook_filter(
            (up, down) in prop::sample::select(vec![(2, 1), (1, 2), (2, 3), (5, 3), (40, 33)]),
            input in prop::collection::vec(-1.0_f32..1.0, 250..400),
        ) {
            let plan = Plan::shared(up, down).unwrap();
            let mut out = vec![0.0; plan.ready(input.len(), 0)];
            plan.run(Isa::detect(), &input, 0, &mut out, &mut BankScratch::default());
            let prototype = design::prototype(up.max(down), up as f64);
            for (n, sample) in out.iter().enumerate() {
                // The last sample of the window lies at this place of the oversampled input.
                let newest = (n * down) / up * up + (plan.taps - 1) * up;
                let phase = (n * down) % up;
                let expected: f64 = prototype
                    .iter()
                    .skip(phase)
                    .step_by(up)
                    .zip((0..=newest).rev().step_by(up))
                    .map(|(tap, place)| tap * f64::from(input[place / up]))
                    .sum();
                prop_assert!((f64::from(*sample) - expected).abs() < 1e-5, "{} {}", sample, expected);
            }
        }
    }
}
