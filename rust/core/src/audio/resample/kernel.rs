//! The inner loop: the dot product of a row of taps with a window of input.
//!
//! The loop is written once, over [`LANES`] independent sums without fused multiply-add, and compiled
//! for several instruction sets. Every compilation performs the same roundings in the same order, so
//! the stream has the same bits on every CPU.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a function with a target feature is compiled with it"
)]

use super::table::Table;

/// Independent partial sums; rows are padded to a multiple of it.
pub const LANES: usize = 16;

/// Where the next output sample stands.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    /// The first sample of its window in the input buffer.
    pub start: usize,
    /// Its phase, the row of taps.
    pub phase: usize,
}

/// Computes output samples until `out` is full or `input` ends; returns how many.
pub fn run(table: &Table, input: &[f32], position: &mut Position, out: &mut [f32]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2.
        return unsafe { run_avx2(table, input, position, out) };
    }
    run_portable(table, input, position, out)
}

/// What any CPU of the target runs: SSE2 on x86-64, NEON on `AArch64`.
pub fn run_portable(
    table: &Table,
    input: &[f32],
    position: &mut Position,
    out: &mut [f32],
) -> usize {
    run_inline(table, input, position, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2(table: &Table, input: &[f32], position: &mut Position, out: &mut [f32]) -> usize {
    run_inline(table, input, position, out)
}

#[inline(always)]
fn run_inline(table: &Table, input: &[f32], position: &mut Position, out: &mut [f32]) -> usize {
    let (whole, part) = (table.down / table.up, table.down % table.up);
    let Position {
        mut start,
        mut phase,
    } = *position;
    let mut written = 0;
    for sample in out.iter_mut() {
        let Some(window) = input.get(start..start + table.taps) else {
            break;
        };
        *sample = dot(table.row(phase), window);
        written += 1;
        start += whole;
        phase += part;
        if phase >= table.up {
            phase -= table.up;
            start += 1;
        }
    }
    *position = Position { start, phase };
    written
}

#[inline(always)]
fn dot(row: &[f32], window: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (row, window) in row
        .as_chunks::<LANES>()
        .0
        .iter()
        .zip(window.as_chunks::<LANES>().0)
    {
        for lane in 0..LANES {
            sums[lane] += row[lane] * window[lane];
        }
    }
    // A fixed tree, so that the order of the additions is the same for every instruction set.
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// On a CPU without a faster path both sides are the portable one.
        #[test]
        fn the_path_of_this_cpu_has_the_bits_of_the_portable_one(
            ratio in prop::sample::select(vec![(2, 1), (1, 2), (1, 6), (2, 3), (80, 147), (147, 80)]),
            input in prop::collection::vec(-1.0_f32..1.0, 1..1500),
            start in 0_usize..50,
        ) {
            let table = Table::shared(ratio.0, ratio.1).unwrap();
            let (mut fast, mut portable) = (vec![0.0; 4000], vec![0.0; 4000]);
            let mut positions = [Position { start, phase: ratio.0 - 1 }; 2];
            let counts = [
                run(&table, &input, &mut positions[0], &mut fast),
                run_portable(&table, &input, &mut positions[1], &mut portable),
            ];
            prop_assert_eq!(counts[0], counts[1]);
            prop_assert_eq!(positions[0].start, positions[1].start);
            prop_assert_eq!(positions[0].phase, positions[1].phase);
            for (fast, portable) in fast.iter().zip(&portable) {
                prop_assert_eq!(fast.to_bits(), portable.to_bits());
            }
        }
    }
}
