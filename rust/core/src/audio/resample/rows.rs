//! The inner loop for ratios of large factors (80:147): one row of taps per phase.
//!
//! An output sample is the dot product of a row and a window. Outputs of one phase come `up` apart;
//! several of them are computed at once, so that a row is loaded once for all.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a function with a target feature is compiled with it"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m256;

#[cfg(target_arch = "x86_64")]
use super::simd::Avx2;
use super::simd::{Isa, LANES, Lanes};

/// The filter as one row of taps per phase.
#[derive(Debug)]
pub struct Rows {
    up: usize,
    down: usize,
    /// Chunks of lanes in a row.
    length: usize,
    /// The rows in the order in which outputs use them, which is good for the cache.
    taps: Vec<[f32; LANES]>,
    /// By phase: the index of its row.
    places: Vec<usize>,
}

impl Rows {
    /// `row` returns the taps of a phase, oldest sample of the window first, a multiple of [`LANES`].
    pub fn new<'r>(up: usize, down: usize, row: impl Fn(usize) -> &'r [f32]) -> Self {
        let phases = (0..up).map(|output| output * down % up);
        let mut places = vec![0; up];
        for (place, phase) in phases.clone().enumerate() {
            places[phase] = place;
        }
        let taps = phases
            .flat_map(|phase| row(phase).as_chunks().0.iter().copied())
            .collect();
        Self {
            up,
            down,
            length: row(0).len() / LANES,
            taps,
            places,
        }
    }

    /// Computes `out.len()` samples, the first of which has the phase `phase` and a window that begins
    /// with `input`. `input` must hold the windows of all of them.
    pub fn run(&self, isa: Isa, input: &[f32], phase: usize, out: &mut [f32]) {
        match isa {
            Isa::Portable(proof) => {
                self.run_inline::<[f32; LANES]>(proof, input, phase, out);
            }
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value proves that the CPU has AVX2.
            Isa::Avx2(proof) => unsafe { self.run_avx2(proof, input, phase, out) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn run_avx2(&self, proof: Avx2, input: &[f32], phase: usize, out: &mut [f32]) {
        self.run_inline::<__m256>(proof, input, phase, out);
    }

    #[inline(always)]
    fn run_inline<L: Lanes>(&self, proof: L::Proof, input: &[f32], phase: usize, out: &mut [f32]) {
        // Divisions would cost more than the sums: the next row, its windows and the number of its
        // outputs are updated from row to row.
        let (whole, part) = (self.down / self.up, self.down % self.up);
        let (rounds, more) = (out.len() / self.up, out.len() % self.up);
        let mut place = self.places[phase];
        let (mut start, mut phase) = (0, phase);
        for output in 0..self.up.min(out.len()) {
            let row = &self.taps[place * self.length..][..self.length];
            let count = rounds + usize::from(output < more);
            let mut done = 0;
            while done < count {
                let input = &input[start + done * self.down..];
                let out = &mut out[output + done * self.up..];
                done += match count - done {
                    ..3 => self.pass::<L, 1>(proof, row, input, out),
                    3..6 => self.pass::<L, 3>(proof, row, input, out),
                    6.. => self.pass::<L, 6>(proof, row, input, out),
                };
            }
            place = if place + 1 < self.up { place + 1 } else { 0 };
            phase += part;
            start += whole;
            if phase >= self.up {
                phase -= self.up;
                start += 1;
            }
        }
    }

    /// Computes `N` outputs in one pass over their row, `up` apart from windows `down` apart.
    #[inline(always)]
    fn pass<L: Lanes, const N: usize>(
        &self,
        proof: L::Proof,
        row: &[[f32; LANES]],
        input: &[f32],
        out: &mut [f32],
    ) -> usize {
        let windows: [&[[f32; LANES]]; N] =
            std::array::from_fn(|later| &input[later * self.down..].as_chunks().0[..row.len()]);
        let mut sums = [L::zero(proof); N];
        for (chunk, taps) in row.iter().enumerate() {
            let taps = L::load(proof, taps);
            for later in 0..N {
                let product = taps.times(L::load(proof, &windows[later][chunk]));
                sums[later] = sums[later].plus(product);
            }
        }
        for later in 0..N {
            out[later * self.up] = sums[later].sum();
        }
        N
    }
}
