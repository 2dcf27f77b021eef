//! The prototype filter: a Kaiser-windowed sinc.
//!
//! All frequencies are in units of the lower of the two rates, so that one design serves every pair.
//! The transition band is centred on the lower rate's Nyquist frequency: from 0.45 to 0.55. What folds
//! back (or is imaged) within it is attenuated, not removed; in return the filter holds sound back for
//! 42 periods of the lower rate only (1.75 ms at 24 kHz), where one that ends at 0.5 would take twice
//! that. And a cut-off at exactly 0.5 makes it a Nyquist filter: every tap at a whole number of lower
//! periods from the centre is zero but for the centre itself, which saves a half of the work at 2:1, a
//! third at 3:1, and passes the original samples through when the rate is multiplied.

use std::f64::consts::PI;

/// Length of the filter in periods of the lower rate. Even, so that the centre is a tap.
pub const SPAN: usize = 84;

/// Attenuation from 0.55 on, in dB; it grows with the distance: 133 dB at 0.6.
const ATTENUATION_DB: f64 = 128.0;

/// An odd-length, symmetric low-pass filter for a signal at `oversampling` times the lower rate.
///
/// The centre tap is exactly `gain / oversampling`, which makes the taps sum to `gain` within the
/// stop band's ripple. The window is after Kaiser (1974), as in Oppenheim and Schafer, *Discrete-Time
/// Signal Processing*, section 7.5.3.
pub fn prototype(oversampling: usize, gain: f64) -> Vec<f64> {
    // The window ends on the zeros that lie half a span away, which need not be stored.
    let half = (SPAN * oversampling / 2) as i64;
    let beta = 0.1102 * (ATTENUATION_DB - 8.7);
    let period = oversampling as i64;
    (1 - half..half)
        .map(|n| {
            // Exact zeros where the sine of a float would leave dust.
            if n % period == 0 {
                return if n == 0 { gain / period as f64 } else { 0.0 };
            }
            let x = n as f64 / period as f64;
            let across = n as f64 / half as f64;
            let window = bessel_i0(beta * (1.0 - across * across).max(0.0).sqrt());
            gain / period as f64 * (PI * x).sin() / (PI * x) * window / bessel_i0(beta)
        })
        .collect()
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

    /// The magnitude response at `frequency` (unit: the lower rate), in dB.
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
            for step in 0..=450 {
                let frequency = f64::from(step) / 1000.0;
                let ripple = response_db(&taps, oversampling, frequency).abs();
                assert!(
                    ripple < 0.0001,
                    "x{oversampling}: {ripple} dB at {frequency}"
                );
            }
            for step in 550..=1000 {
                let frequency = f64::from(step) / 1000.0;
                let leak = response_db(&taps, oversampling, frequency);
                let limit = if frequency < 0.6 { -127.0 } else { -133.0 };
                assert!(leak < limit, "x{oversampling}: {leak} dB at {frequency}");
            }
        }
    }

    #[test]
    fn taps_at_whole_periods_are_zero_but_for_the_centre() {
        let taps = prototype(3, 3.0);
        let centre = taps.len() / 2;
        for (n, tap) in taps.iter().enumerate() {
            let whole_period = n.abs_diff(centre) % 3 == 0;
            assert_eq!(*tap == 0.0, whole_period && n != centre, "{n}");
        }
        assert!((taps[centre] - 1.0).abs() < f64::EPSILON);
    }
}
