//! The properties of the resampler: its output does not depend on the chunks, and has the promised
//! quality.

use std::f64::consts::TAU;

use proptest::prelude::*;

use super::*;

const RATES: [u32; 7] = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// The conversions whose quality is promised.
const PROMISED: [(u32, u32); 6] = [
    (24_000, 48_000),
    (48_000, 24_000),
    (24_000, 16_000),
    (24_000, 8_000),
    (8_000, 24_000),
    (44_100, 24_000),
];

fn any_rates() -> impl Strategy<Value = (u32, u32)> {
    (
        prop::sample::select(&RATES[..]),
        prop::sample::select(&RATES[..]),
    )
}

fn any_samples(most: usize) -> impl Strategy<Value = Vec<i16>> {
    prop::collection::vec(any::<i16>(), 0..most)
}

fn one_shot(from: u32, to: u32, input: &[f32]) -> Vec<f32> {
    let mut resampler = Resampler::new(from, to).unwrap();
    let mut out = Vec::new();
    resampler.process(input, &mut out);
    resampler.flush(&mut out);
    out
}

fn tone(rate: u32, frequency: f64, seconds: f64) -> Vec<f32> {
    (0..(f64::from(rate) * seconds) as usize)
        .map(|n| (0.5 * (TAU * frequency * n as f64 / f64::from(rate)).sin()) as f32)
        .collect()
}

/// Amplitude of the sine at `frequency` that fits best, and the power of what it leaves over, both
/// relative to a sine of amplitude 0.5, in dB. Ignores the first and last 20 ms, where the filter
/// sees the tone begin and end.
fn fit(samples: &[f32], rate: u32, frequency: f64) -> (f64, f64) {
    let edge = rate as usize / 50;
    let samples: Vec<f64> = samples[edge..samples.len() - edge]
        .iter()
        .map(|s| f64::from(*s))
        .collect();
    let basis = |n: usize| (TAU * frequency * (n + edge) as f64 / f64::from(rate)).sin_cos();
    // Normal equations of the least squares fit of a * sin + b * cos.
    let (mut ss, mut sc, mut cc, mut ys, mut yc) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (n, y) in samples.iter().enumerate() {
        let (s, c) = basis(n);
        (ss, sc, cc) = (ss + s * s, sc + s * c, cc + c * c);
        (ys, yc) = (ys + y * s, yc + y * c);
    }
    let determinant = ss * cc - sc * sc;
    let (a, b) = (
        (ys * cc - yc * sc) / determinant,
        (yc * ss - ys * sc) / determinant,
    );
    let residual: f64 = samples
        .iter()
        .enumerate()
        .map(|(n, y)| {
            let (s, c) = basis(n);
            (y - a * s - b * c).powi(2)
        })
        .sum();
    let gain = 20.0 * (a.hypot(b) / 0.5).log10();
    let left_over = 10.0 * (residual / samples.len() as f64 / 0.125).log10();
    (gain, left_over)
}

fn power_db(samples: &[f32], rate: u32) -> f64 {
    let edge = rate as usize / 50;
    let middle = &samples[edge..samples.len() - edge];
    let power: f64 = middle.iter().map(|s| f64::from(*s).powi(2)).sum();
    10.0 * (power / middle.len() as f64 / 0.125).log10()
}

#[test]
fn tones_keep_their_amplitude_and_gain_no_noise() {
    for (from, to) in PROMISED {
        let lower = f64::from(from.min(to));
        for fraction in [0.013, 0.05, 0.11, 0.17, 0.23, 0.29, 0.34, 0.37, 0.399] {
            let frequency = fraction * lower;
            let out = one_shot(from, to, &tone(from, frequency, 0.25));
            let (gain, noise) = fit(&out, to, frequency);
            assert!(
                gain.abs() < 0.01,
                "{from} -> {to}: {gain} dB at {frequency} Hz"
            );
            assert!(
                noise < -130.0,
                "{from} -> {to}: SNR {} dB at {frequency} Hz",
                -noise
            );
        }
    }
}

#[test]
fn tones_above_the_lower_rate_do_not_fold_back() {
    for (from, to) in PROMISED.into_iter().filter(|(from, to)| from > to) {
        for step in 0..9 {
            let frequency = f64::from(to) * (0.5505 + f64::from(step) * 0.05);
            if frequency < f64::from(from) / 2.0 {
                let alias = power_db(&one_shot(from, to, &tone(from, frequency, 0.25)), to);
                assert!(
                    alias < -120.0,
                    "{from} -> {to}: {alias} dB from {frequency} Hz"
                );
            }
        }
    }
}

#[test]
fn a_16_bit_stream_is_the_float_stream_rounded() {
    for (from, to) in PROMISED {
        let input: Vec<i16> = tone(from, 440.0, 0.1)
            .iter()
            .map(|s| (s * 32_768.0).round() as i16)
            .collect();
        let float: Vec<f32> = input.iter().map(|s| f32::from(*s) / 32_768.0).collect();
        let mut out = Vec::new();
        let mut resampler = Resampler::new(from, to).unwrap();
        resampler.process_i16(&input, &mut out);
        resampler.flush_i16(&mut out);
        for (integer, float) in out.iter().zip(one_shot(from, to, &float)) {
            assert!((f32::from(*integer) - float * 32_768.0).abs() <= 0.5);
        }
    }
}

#[test]
fn the_delay_is_short_and_is_what_is_held_back() {
    for from in RATES {
        for to in RATES {
            let mut resampler = Resampler::new(from, to).unwrap();
            let limit = if from.min(to) >= 16_000 { 0.003 } else { 0.006 };
            assert!(
                resampler.delay() <= limit,
                "{from} -> {to}: {} s",
                resampler.delay()
            );

            let mut out: Vec<f32> = Vec::new();
            resampler.process(&vec![0.0_f32; from as usize], &mut out);
            let held_back = f64::from(to) - out.len() as f64;
            let expected = resampler.delay() * f64::from(to);
            assert!(
                (held_back - expected).abs() <= 1.0,
                "{from} -> {to}: {held_back}"
            );
            assert_eq!(resampler.flush_len(), to as usize - out.len());
        }
    }
}

#[test]
fn an_impulse_stays_where_it_was() {
    for (from, to) in PROMISED {
        let mut input = vec![0.0; from as usize / 10];
        input[from as usize / 50] = 1.0;
        let out = one_shot(from, to, &input);
        let loudest = (0..out.len())
            .max_by(|a, b| out[*a].total_cmp(&out[*b]))
            .unwrap();
        assert_eq!(loudest, to as usize / 50, "{from} -> {to}");
    }
}

#[test]
fn an_overload_saturates() {
    let mut resampler = Resampler::new(24_000, 48_000).unwrap();
    let square: Vec<i16> = (0..480)
        .map(|n| if n / 24 % 2 == 0 { i16::MAX } else { i16::MIN })
        .collect();
    let mut out = Vec::new();
    resampler.process_i16(&square, &mut out);
    assert!(out.contains(&i16::MAX) && out.contains(&i16::MIN));
    // Wrapping would jump from one end to the other while the input stands still.
    let plateau = &out[100..140];
    assert!(
        plateau.iter().all(|s| s.signum() == plateau[0].signum()),
        "{plateau:?}"
    );
}

#[test]
fn impossible_rates_are_refused_by_name() {
    for rate in [0, 3_999, 192_001, 10_000_000] {
        let from = Resampler::new(rate, 24_000).unwrap_err();
        assert_eq!(
            from,
            ResampleError::Rate {
                argument: "from_rate",
                rate
            }
        );
        let to = Resampler::new(24_000, rate).unwrap_err();
        assert_eq!(
            to,
            ResampleError::Rate {
                argument: "to_rate",
                rate
            }
        );
    }
    let ratio = Resampler::new(47_999, 48_000).unwrap_err();
    assert_eq!(
        ratio,
        ResampleError::Ratio {
            from: 47_999,
            to: 48_000
        }
    );
}

#[test]
fn the_state_of_a_stream_is_small() {
    for from in RATES {
        for to in RATES {
            let bytes = Resampler::new(from, to).unwrap().memory();
            assert!(bytes <= 3_000, "{from} -> {to}: {bytes} bytes");
        }
    }
}

proptest! {
    #[test]
    fn chunks_do_not_change_the_stream(
        (from, to) in any_rates(),
        stereo: bool,
        input in any_samples(3_000),
        cuts in prop::collection::vec(0_usize..700, 1..12),
    ) {
        let channels = if stereo { Channels::Stereo } else { Channels::Mono };
        let whole = {
            let mut resampler = Resampler::with_channels(from, to, channels).unwrap();
            let mut out: Vec<f32> = Vec::new();
            resampler.process(&input, &mut out);
            resampler.flush(&mut out);
            out
        };
        let mut resampler = Resampler::with_channels(from, to, channels).unwrap();
        let mut out: Vec<f32> = Vec::new();
        let mut rest = &input[..];
        for cut in cuts.iter().cycle().filter(|cut| **cut > 0).chain([&1]) {
            let (chunk, later) = rest.split_at((*cut).min(rest.len()));
            let before = out.len();
            let expected = resampler.output_len(chunk.len());
            resampler.process(chunk, &mut out);
            prop_assert_eq!(out.len() - before, expected);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        resampler.process(rest, &mut out);
        resampler.flush(&mut out);
        prop_assert_eq!(out.len(), whole.len());
        prop_assert!(out.iter().zip(&whole).all(|(a, b)| a.to_bits() == b.to_bits()));
    }

    #[test]
    fn the_output_is_as_long_as_the_input((from, to) in any_rates(), input in any_samples(3_000)) {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut out = Vec::new();
        resampler.process_i16(&input, &mut out);
        resampler.flush_i16(&mut out);
        let exact = (input.len() as u64 * u64::from(to)).div_ceil(u64::from(from));
        prop_assert_eq!(out.len() as u64, exact);
    }

    #[test]
    fn a_flushed_resampler_is_as_good_as_new((from, to) in any_rates(), input in any_samples(900)) {
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut streams = [Vec::new(), Vec::new()];
        for out in &mut streams {
            resampler.process_i16(&input, out);
            resampler.flush_i16(out);
        }
        prop_assert_eq!(&streams[0], &streams[1]);
    }

    #[test]
    fn equal_stereo_channels_are_the_mono_stream((from, to) in any_rates(), input in any_samples(900)) {
        let doubled: Vec<i16> = input.iter().flat_map(|sample| [*sample; 2]).collect();
        let mut stereo = Resampler::with_channels(from, to, Channels::Stereo).unwrap();
        let mut mono = Resampler::new(from, to).unwrap();
        let mut streams = [Vec::new(), Vec::new()];
        stereo.process_i16(&doubled, &mut streams[0]);
        mono.process_i16(&input, &mut streams[1]);
        prop_assert_eq!(&streams[0], &streams[1]);
    }
}
