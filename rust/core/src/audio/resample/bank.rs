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

use super::isa::Isa;

/// Ratios with a larger factor are for [`rows`](super::rows).
pub const MAX_FACTOR: usize = 32;

/// Results computed at once with AVX2: eight accumulators of eight lanes.
const WIDE: usize = 32;

/// Results computed at once with registers of four lanes: eight accumulators.
const NARROW: usize = 16;

/// The filter as a bank of phases.
#[derive(Debug)]
pub struct Bank {
    up: usize,
    down: usize,
    /// By phase: the runs of taps that are not zero.
    phases: Vec<Vec<Run>>,
}

/// Taps that meet consecutive samples of one of the input's streams.
#[derive(Debug)]
struct Run {
    /// The window's sample that the first tap meets.
    first: usize,
    /// For the samples `first`, `first + down`, `first + 2 * down`, and so on.
    taps: Vec<f32>,
}

/// Memory for one call, kept from call to call.
#[derive(Debug, Default)]
pub struct BankScratch {
    /// The input's streams, one after another.
    streams: Vec<f32>,
    /// The phases of the output, one after another.
    phases: Vec<f32>,
}

impl Bank {
    /// `row` gives the taps of a phase, oldest sample of the window first.
    pub fn new<'r>(up: usize, down: usize, row: impl Fn(usize) -> &'r [f32]) -> Self {
        let phases = (0..up)
            .map(|phase| {
                (0..down)
                    .filter_map(|s| Run::of(row(phase), s, down))
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
        match isa {
            Isa::Portable => self.run_inline::<NARROW>(input, phase, out, scratch),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value proves that the CPU has AVX2.
            Isa::Avx2(_) => unsafe { self.run_avx2(input, phase, out, scratch) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn run_avx2(&self, input: &[f32], phase: usize, out: &mut [f32], scratch: &mut BankScratch) {
        self.run_inline::<WIDE>(input, phase, out, scratch);
    }

    #[inline(always)]
    fn run_inline<const W: usize>(
        &self,
        input: &[f32],
        phase: usize,
        out: &mut [f32],
        scratch: &mut BankScratch,
    ) {
        let cycles = out.len().div_ceil(self.up).next_multiple_of(W);
        if out.is_empty() {
            return;
        }
        // Room for the last block to run beyond the input; what it computes there is not used.
        let stride = input.len().div_ceil(self.down) + W + 1;
        split(input, self.down, stride, &mut scratch.streams);
        scratch.phases.resize(self.up * cycles, 0.0);

        let phases = scratch.phases.chunks_exact_mut(cycles);
        for (ahead, results) in phases.enumerate().take(out.len()) {
            let position = phase + ahead * self.down;
            let start = position / self.up;
            let runs = &self.phases[position % self.up];
            for (block, results) in results.as_chunks_mut::<W>().0.iter_mut().enumerate() {
                *results = [0.0; W];
                for run in runs {
                    let sample = start + run.first;
                    let at = sample % self.down * stride + sample / self.down + block * W;
                    let streams = &scratch.streams[at..];
                    run.add(streams, results);
                }
            }
        }
        join(&scratch.phases, cycles, self.up, out);
    }
}

impl Run {
    /// The taps of a row that meet one stream, trimmed of zeros. `None` if there is nothing else.
    fn of(row: &[f32], stream: usize, down: usize) -> Option<Self> {
        let taps: Vec<f32> = row.iter().skip(stream).step_by(down).copied().collect();
        let begin = taps.iter().position(|tap| *tap != 0.0)?;
        let end = taps.iter().rposition(|tap| *tap != 0.0)? + 1;
        Some(Self {
            first: stream + begin * down,
            taps: taps[begin..end].to_vec(),
        })
    }

    /// Adds the filter's `W` results from `stream` on to `results`.
    ///
    /// From both ends inward, so that the small products are added before the sums are large, and in
    /// two chains of additions, so that neither waits for the other.
    #[inline(always)]
    fn add<const W: usize>(&self, stream: &[f32], results: &mut [f32; W]) {
        let last = self.taps.len() - 1;
        let (mut rising, mut falling) = ([0.0; W], [0.0; W]);
        for n in 0..self.taps.len() / 2 {
            multiply_add(&mut rising, self.taps[n], &stream[n..]);
            multiply_add(&mut falling, self.taps[last - n], &stream[last - n..]);
        }
        if last.is_multiple_of(2) {
            multiply_add(&mut rising, self.taps[last / 2], &stream[last / 2..]);
        }
        for lane in 0..W {
            results[lane] += rising[lane] + falling[lane];
        }
    }
}

#[inline(always)]
fn multiply_add<const W: usize>(sums: &mut [f32; W], tap: f32, samples: &[f32]) {
    let samples: &[f32; W] = samples
        .first_chunk()
        .expect("the streams have room for a block more");
    for lane in 0..W {
        sums[lane] += tap * samples[lane];
    }
}

/// Splits samples that take turns into streams of `stride` samples, filled up with silence.
#[inline(always)]
fn split(input: &[f32], turns: usize, stride: usize, streams: &mut Vec<f32>) {
    streams.resize(turns * stride, 0.0);
    for (turn, stream) in streams.chunks_exact_mut(stride).enumerate() {
        let samples = input.get(turn..).unwrap_or_default().iter().step_by(turns);
        let count = samples.len();
        for (place, sample) in stream.iter_mut().zip(samples) {
            *place = *sample;
        }
        stream[count..].fill(0.0);
    }
}

/// Lets the samples of streams take turns.
#[inline(always)]
fn join(streams: &[f32], stride: usize, turns: usize, out: &mut [f32]) {
    for (turn, stream) in streams.chunks_exact(stride).enumerate() {
        for (place, sample) in out.iter_mut().skip(turn).step_by(turns).zip(stream) {
            *place = *sample;
        }
    }
}
