//! The inner loop for ratios of large factors (80:147): one row of taps per phase.
//!
//! An output sample is the dot product of a row and a window. Outputs of one phase come `up` apart;
//! several of them are computed at once, so that a row is loaded once for all.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a function with a target feature is compiled with it"
)]

use super::isa::Isa;

/// Rows are padded to a multiple of it.
pub const LANES: usize = 8;

/// Outputs that share one pass over a row.
const SHARED: usize = 3;

/// The filter as one row of taps per phase.
#[derive(Debug)]
pub struct Rows {
    up: usize,
    down: usize,
    /// Chunks of lanes in a row.
    length: usize,
    taps: Vec<[f32; LANES]>,
}

/// Memory for one call, kept from call to call: sums by lane of each output.
pub type RowsScratch = Vec<[f32; LANES]>;

impl Rows {
    /// `row` gives the taps of a phase, oldest sample of the window first, a multiple of [`LANES`].
    pub fn new<'r>(up: usize, down: usize, row: impl Fn(usize) -> &'r [f32]) -> Self {
        let taps = (0..up)
            .flat_map(|phase| row(phase).as_chunks().0.iter().copied())
            .collect();
        Self {
            up,
            down,
            length: row(0).len() / LANES,
            taps,
        }
    }

    /// Computes `out.len()` samples, the first of which has the phase `phase` and a window that begins
    /// with `input`. `input` must hold the windows of all of them.
    pub fn run(
        &self,
        isa: Isa,
        input: &[f32],
        phase: usize,
        out: &mut [f32],
        scratch: &mut RowsScratch,
    ) {
        match isa {
            Isa::Portable => self.run_inline(input, phase, out, scratch),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the value proves that the CPU has AVX2.
            Isa::Avx2(_) => unsafe { self.run_avx2(input, phase, out, scratch) },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn run_avx2(&self, input: &[f32], phase: usize, out: &mut [f32], scratch: &mut RowsScratch) {
        self.run_inline(input, phase, out, scratch);
    }

    #[inline(always)]
    fn run_inline(&self, input: &[f32], phase: usize, out: &mut [f32], sums: &mut RowsScratch) {
        sums.resize(out.len(), [0.0; LANES]);
        for ahead in 0..self.up.min(out.len()) {
            let position = phase + ahead * self.down;
            let row = &self.taps[position % self.up * self.length..][..self.length];
            // This output and those of the same phase: `up` further each, `down` samples later.
            let mut window = position / self.up;
            let mut output = ahead;
            while output + (SHARED - 1) * self.up < out.len() {
                let windows = [0, 1, 2].map(|later| &input[window + later * self.down..]);
                for (later, sum) in dots(row, windows).into_iter().enumerate() {
                    sums[output + later * self.up] = sum;
                }
                window += SHARED * self.down;
                output += SHARED * self.up;
            }
            while output < out.len() {
                [sums[output]] = dots(row, [&input[window..]]);
                window += self.down;
                output += self.up;
            }
        }
        for (sums, sample) in sums.iter().zip(out) {
            let halves: [f32; 4] = std::array::from_fn(|lane| sums[lane] + sums[lane + 4]);
            *sample = (halves[0] + halves[2]) + (halves[1] + halves[3]);
        }
    }
}

/// The dot products of a row with several windows, summed by lane.
///
/// Chunks alternate between two chains of additions, so that neither waits for the other.
#[inline(always)]
fn dots<const N: usize>(row: &[[f32; LANES]], windows: [&[f32]; N]) -> [[f32; LANES]; N] {
    let windows = windows.map(|window| &window.as_chunks::<LANES>().0[..row.len()]);
    let mut even = [[0.0; LANES]; N];
    let mut odd = [[0.0; LANES]; N];
    let (pairs, rest) = row.as_chunks::<2>();
    for (n, [first, second]) in pairs.iter().enumerate() {
        for (window, (even, odd)) in windows.iter().zip(even.iter_mut().zip(&mut odd)) {
            for lane in 0..LANES {
                even[lane] += first[lane] * window[2 * n][lane];
            }
            for lane in 0..LANES {
                odd[lane] += second[lane] * window[2 * n + 1][lane];
            }
        }
    }
    for last in rest {
        for (window, even) in windows.iter().zip(&mut even) {
            for lane in 0..LANES {
                even[lane] += last[lane] * window[row.len() - 1][lane];
            }
        }
    }
    for (even, odd) in even.iter_mut().zip(&odd) {
        for lane in 0..LANES {
            even[lane] += odd[lane];
        }
    }
    even
}
