//! Resamples 20 ms of sound TIMES times, for a profiler that counts instructions.
//!
//! `cargo bench --bench audio_kernel -- FROM TO TIMES`

use std::hint::black_box;

use stapes_core::audio::Resampler;

fn main() {
    // Cargo adds `--bench`.
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<u32>().ok());
    let mut next = |default| numbers.next().unwrap_or(default);
    let (from, to, times) = (next(24_000), next(48_000), next(1));
    let input: Vec<i16> = (0..from / 50)
        .map(|n| (n as i16).wrapping_mul(977))
        .collect();
    let mut resampler = Resampler::new(from, to).expect("standard rates");
    let mut output = Vec::new();
    for _ in 0..times {
        output.clear();
        resampler.process_i16(black_box(&input), &mut output);
        black_box(&output);
    }
}
