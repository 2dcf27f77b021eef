//! The prototype filter: a Kaiser-windowed sinc.
//!
//! All frequencies are in units of the lower of the two rates, so that one design serves every pair.
//! The transition band straddles the lower rate's Nyquist frequency (0.5): it ends at 0.55 and, with
//! the length below, begins at 0.44. What folds back (or is imaged) between 0.45 and 0.55 is
//! attenuated, not removed; in return the filter holds sound back for 40 periods of the lower rate
//! only (1.7 ms at 24 kHz) where one that ends at 0.5 would take twice that.

use std::f64::consts::PI;

/// Length of the filter in periods of the lower rate. A multiple of the kernel's vector width.
pub const SPAN: usize = 80;

/// Attenuation from the stop band's edge on, in dB; it grows with the distance.
const ATTENUATION_DB: f64 = 134.0;

/// Where the stop band begins.
const STOPBAND_EDGE: f64 = 0.55;

/// An odd-length, symmetric low-pass filter for a signal at `oversampling` times the lower rate.
///
/// The taps sum to `gain`. Window and length after Kaiser (1974), as in Oppenheim and Schafer,
/// *Discrete-Time Signal Processing*, section 7.5.3.
pub fn prototype(oversampling: usize, gain: f64) -> Vec<f64> {
    let length = SPAN * oversampling - 1;
    let order = (length - 1) as f64;
    let oversampling = oversampling as f64;

    let beta = 0.1102 * (ATTENUATION_DB - 8.7);
    let transition = (ATTENUATION_DB - 7.95) / (2.285 * order * 2.0 * PI) * oversampling;
    let cutoff = (STOPBAND_EDGE - transition / 2.0) / oversampling;

    let mut taps: Vec<f64> = (0..length)
        .map(|n| {
            let from_centre = n as f64 - order / 2.0;
            let across = 2.0 * from_centre / order;
            let window = bessel_i0(beta * (1.0 - across * across).max(0.0).sqrt());
            window * sinc(2.0 * cutoff * from_centre)
        })
        .collect();
    let sum: f64 = taps.iter().sum();
    for tap in &mut taps {
        *tap *= gain / sum;
    }
    taps
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        1.0
    } else {
        (PI * x).sin() / (PI * x)
    }
}

/// The modified Bessel function of the first kind, order zero, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter_square = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    let mut k = 1.0;
    while term > sum * f64::EPSILON {
        term *= quarter_square / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The magnitude response at `frequency` (unit: the lower rate), in dB relative to `gain`.
    fn response_db(taps: &[f64], oversampling: usize, frequency: f64) -> f64 {
        let radians = 2.0 * PI * frequency / oversampling as f64;
        let centre = (taps.len() - 1) as f64 / 2.0;
        let amplitude: f64 = taps
            .iter()
            .enumerate()
            .map(|(n, tap)| tap * (radians * (n as f64 - centre)).cos())
            .sum();
        20.0 * amplitude.abs().max(1e-12).log10()
    }

    #[test]
    fn bessel_matches_tabulated_values() {
        // Abramowitz and Stegun, table 9.8.
        assert!((bessel_i0(1.0) - 1.266_065_877_752_008_3).abs() < 1e-14);
        assert!((bessel_i0(10.0) / 2_815.716_628_466_254 - 1.0).abs() < 1e-14);
    }

    #[test]
    fn the_passband_is_flat_and_the_stopband_silent() {
        for oversampling in [2, 3, 6, 147] {
            let taps = prototype(oversampling, 1.0);
            for step in 0..=400 {
                let frequency = f64::from(step) / 1000.0;
                let ripple = response_db(&taps, oversampling, frequency).abs();
                assert!(
                    ripple < 0.001,
                    "x{oversampling}: {ripple} dB at {frequency}"
                );
            }
            for step in 550..=1000 {
                let frequency = f64::from(step) / 1000.0;
                let leak = response_db(&taps, oversampling, frequency);
                assert!(leak < -130.0, "x{oversampling}: {leak} dB at {frequency}");
            }
        }
    }
}
