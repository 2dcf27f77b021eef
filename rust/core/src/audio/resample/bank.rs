//! The inner loop for simple ratios (2:1, 2:3, 6:1): output samples side by side.
//!
//! The input is split into `down` interleaved streams, one per position modulo `down`. Each phase of the
//! output is then an ordinary filter over those streams whose neighbouring results lie side by side: a
//! tap is multiplied with as many consecutive samples as fit the registers, and nothing has to be added
//! up across a register. Taps that the design made zero are left out.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a function with a target feature is compiled with it"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m256;

#[cfg(target_arch = "x86_64")]
use super::simd::Avx2;
use super::simd::{Isa, LANES, Lanes};
use super::turns::{join, split};

/// Ratios with a larger factor are for [`rows`](super::rows).
pub const MAX_FACTOR: usize = 32;

/// Registers of results at once with AVX2: two chains of additions each fill half of the registers.
const WIDE: usize = 4;

/// The same where one register has four lanes.
const NARROW: usize = 2;

/// The filter as a bank of phases.
#[derive(Debug)]
pub struct Bank {
    up: usize,
    down: usize,
    /// By phase: the runs of taps that are not zero.
    phases: Vec<Vec<Run>>,
}

/// Taps for consecutive samples of one of the input's streams, without the zeros at both ends.
#[derive(Debug)]
struct Run {
    /// The index in the window of the first tap's sample.
    first: usize,
    /// The number of taps; they are multiplied with the samples `first`, `first + down`, `first + 2 * down`, and so on.
    length: usize,
    /// The first tap and the last, the second and the last but one, and so on.
    pairs: Vec<[f32; 2]>,
    /// The one in the middle, if their number is odd.
    middle: Option<f32>,
}

/// Buffers that are reused from call to call.
#[derive(Debug, Default)]
pub struct BankScratch {
    /// The input's streams, one after another.
    streams: Vec<f32>,
    /// The phases of the output, one after another.
    phases: Vec<f32>,
}

impl Bank {
    /// `row` returns the taps of a phase, oldest sample of the window first.
    pub fn new<'r>(up: usize, down: usize, row: impl Fn(usize) -> &'r [f32]) -> Self {
        let phases = (0..up)
            .map(|phase| {
                (0..down)
                    .filter_map(|stream| Run::of(row(phase), stream, down))
                    .collect()
            })
            .collect();
        Self { up, down, phases }
    }

    /// Computes `out.len()` samples, the first of which has the phase `phase` and a window that begins
    /// with `input`. `input` must hold the windows of all of them.
    pub fn run(
        &self,
        isa: Isa,
        input: &[f32],
        phase: usize,
        out: &mut [f32],
        scratch: &mut BankScratch,
    ) {
        if out.is_empty() {
            return;
        }
        // A whole number of blocks of registers; results beyond the input are not used.
        let cycles = out.len().div_ceil(self.up).next_multiple_of(WIDE * LANES);
        let stride = input.len().div_ceil(self.down) + WIDE * LANES + 1;
        split(input, self.down, stride, &mut scratch.streams);
        scratch.phases.resize(self.up * cycles, 0.0);

        let phases = scratch.phases.chunks_exact_mut(cycles);
        for (ahead, results) in phases.enumerate().take(out.len()) {
            let position = phase + ahead * self.down;
            let start = position / self.up;
            for (nth, run) in self.phases[position % self.up].iter().enumerate() {
                if nth == 0 {
                    results.fill(0.0);
                }
                let sample = start + run.first;
                let begin = sample % self.down * stride + sample / self.down;
                let stream = &scratch.streams[begin..][..cycles + run.length - 1];
                run.add(isa, stream, results);
            }
        }
        join(&scratch.phases, cycles, self.up, out);
    }
}

impl Run {
    /// The taps of a row for one stream. `None` if all are zero.
    fn of(row: &[f32], stream: usize, down: usize) -> Option<Self> {
        let taps: Vec<f32> = row.iter().skip(stream).step_by(down).copied().collect();
        let begin = taps.iter().position(|tap| *tap != 0.0)?;
        let end = taps.iter().rposition(|tap| *tap != 0.0)? + 1;
        let taps = &taps[begin..end];
        let half = taps.len() / 2;
        let from_the_end = taps.iter().rev();
        Some(Self {
            first: stream + begin * down,
            length: taps.len(),
            pairs: taps[..half]
                .iter()
                .zip(from_the_end)
                .map(|(a, b)| [*a, *b])
                .collect(),
            middle: (taps.len() % 2 == 1).then(|| taps[half]),
        })
    }

    /// Filters `stream` and adds to `results`, a whole number of blocks; `stream` is longer by the
    /// number of taps less one.
    fn add(&self, isa: Isa, stream: &[f32], results: &mut [f32]) {
        match isa {
            Isa::Portable(proof) => {
                self.add_inline::<[f32; LANES], NARROW, { NARROW * LANES }>(proof, stream, results);
            }
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value proves that the CPU has AVX2.
            Isa::Avx2(proof) => unsafe { self.add_avx2(proof, stream, results) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn add_avx2(&self, proof: Avx2, stream: &[f32], results: &mut [f32]) {
        self.add_inline::<__m256, WIDE, { WIDE * LANES }>(proof, stream, results);
    }

    /// A block is `N` registers, `BLOCK` samples.
    ///
    /// The sums run from both ends inward, so that the small products are added before the sums are
    /// large, and in two chains of additions, so that neither waits for the other.
    #[inline(always)]
    fn add_inline<L: Lanes, const N: usize, const BLOCK: usize>(
        &self,
        proof: L::Proof,
        stream: &[f32],
        results: &mut [f32],
    ) {
        for (block, results) in results.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let stream = &stream[block * BLOCK..][..BLOCK + self.length - 1];
            // A block of samples for each tap.
            let windows = stream.windows(BLOCK);
            let from_both_ends = windows.clone().zip(windows.clone().rev());
            let (mut rising, mut falling) = ([L::zero(proof); N], [L::zero(proof); N]);
            for ([early, late], (first, last)) in self.pairs.iter().zip(from_both_ends) {
                multiply_add::<L, N, BLOCK>(proof, &mut rising, *early, first);
                multiply_add::<L, N, BLOCK>(proof, &mut falling, *late, last);
            }
            if let Some(tap) = self.middle {
                multiply_add::<L, N, BLOCK>(proof, &mut rising, tap, &stream[self.length / 2..]);
            }
            let results = results.as_chunks_mut().0;
            for register in 0..N {
                let sum = rising[register].plus(falling[register]);
                L::load(proof, &results[register])
                    .plus(sum)
                    .store(&mut results[register]);
            }
        }
    }
}

#[inline(always)]
fn multiply_add<L: Lanes, const N: usize, const BLOCK: usize>(
    proof: L::Proof,
    sums: &mut [L; N],
    tap: f32,
    window: &[f32],
) {
    let window: &[f32; BLOCK] = window
        .first_chunk()
        .expect("a block of samples for every tap");
    let tap = L::splat(proof, tap);
    let samples = window.as_chunks().0;
    // By index: iterators are not inlined here at every level of optimisation.
    for register in 0..N {
        let product = tap.times(L::load(proof, &samples[register]));
        sums[register] = sums[register].plus(product);
    }
}
