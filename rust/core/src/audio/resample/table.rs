//! The filter laid out for the kernel, one table for all resamplers of a ratio.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use super::design;
use super::kernel::LANES;

/// More coefficients than this (4 MiB) are refused: only rates without a common divisor need them.
pub const MAX_COEFFICIENTS: usize = 1 << 20;

/// Tables in use, by interpolation and decimation factor.
type Cache = HashMap<(usize, usize), Weak<Table>>;

/// The prototype filter split into phases, and the steps from one output sample to the next.
///
/// Output sample `n` lies at `n * down / up` input samples. The fraction picks the phase, that is the
/// row of taps; the integer is where the window of `taps` input samples ends.
#[derive(Debug)]
pub struct Table {
    /// Interpolation factor: the number of phases.
    pub up: usize,
    /// Decimation factor.
    pub down: usize,
    /// Input samples under one row; a multiple of [`LANES`].
    pub taps: usize,
    /// The filter's centre, in units of `1 / up` input samples: what it delays by.
    pub centre: usize,
    /// `up` rows of `taps`, oldest input sample first.
    rows: Vec<f32>,
}

impl Table {
    /// The table for a ratio in lowest terms, or `None` if it would exceed [`MAX_COEFFICIENTS`].
    pub fn shared(up: usize, down: usize) -> Option<Arc<Self>> {
        // Weak: a ratio that no stream uses any more costs nothing, and computing it again is cheap.
        static TABLES: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

        let taps = (design::SPAN * up.max(down))
            .div_ceil(up)
            .next_multiple_of(LANES);
        if taps.checked_mul(up)? > MAX_COEFFICIENTS {
            return None;
        }
        let mut tables = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&(up, down)).and_then(Weak::upgrade) {
            return Some(table);
        }
        let table = Arc::new(Self::new(up, down, taps));
        tables.retain(|_, unused| unused.strong_count() > 0);
        tables.insert((up, down), Arc::downgrade(&table));
        Some(table)
    }

    /// The taps of one phase.
    #[inline]
    pub fn row(&self, phase: usize) -> &[f32] {
        &self.rows[phase * self.taps..][..self.taps]
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
        Self {
            up,
            down,
            taps,
            centre: (prototype.len() - 1) / 2,
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resamplers_of_one_ratio_share_one_table() {
        let first = Table::shared(2, 1).unwrap();
        let second = Table::shared(2, 1).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn every_tap_of_the_prototype_is_in_exactly_one_row() {
        for (up, down) in [(2, 1), (1, 3), (2, 3), (80, 147), (320, 147)] {
            let table = Table::shared(up, down).unwrap();
            let total: f64 = (0..up)
                .flat_map(|p| table.row(p))
                .map(|tap| f64::from(*tap))
                .sum();
            assert!(
                (total / up as f64 - 1.0).abs() < 1e-6,
                "{up}/{down}: {total}"
            );
        }
    }

    #[test]
    fn a_ratio_that_needs_a_huge_table_is_refused() {
        assert!(Table::shared(47_999, 48_000).is_none());
    }
}
