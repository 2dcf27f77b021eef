//! How loud sound is.

use super::Sample;

/// The level of some samples, on the unit scale (1.0 is full scale).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Root mean square. A full-scale sine has 0.707.
    pub rms: f32,
    /// The largest magnitude.
    pub peak: f32,
}

impl Level {
    /// Measures `samples`; silence if there are none.
    pub fn of<S: Sample>(samples: &[S]) -> Self {
        // Sums of a chunk in f32 (fast), sums of chunks in f64 (exact enough for an hour).
        const CHUNK: usize = 256;
        let (mut squares, mut peak) = (0.0_f64, 0.0_f32);
        for chunk in samples.chunks(CHUNK) {
            let mut sum = 0.0_f32;
            for sample in chunk {
                let sample = sample.to_unit();
                sum += sample * sample;
                peak = peak.max(sample.abs());
            }
            squares += f64::from(sum);
        }
        let count = samples.len().max(1) as f64;
        Self {
            rms: (squares / count).sqrt() as f32,
            peak,
        }
    }
}

/// `value` on the unit scale in decibels relative to full scale; minus infinity for silence.
pub fn dbfs(value: f32) -> f32 {
    20.0 * value.log10()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "exactness is what is tested")]

    use super::*;

    #[test]
    fn a_full_scale_sine_is_three_decibels_below_full_scale() {
        let sine: Vec<f32> = (0..24_000).map(|n| (n as f32 * 0.1).sin()).collect();
        let level = Level::of(&sine);
        assert!((dbfs(level.rms) + 3.01).abs() < 0.01, "{level:?}");
        assert!(dbfs(level.peak).abs() < 0.01, "{level:?}");
    }

    #[test]
    fn the_loudest_16_bit_sample_is_full_scale() {
        assert_eq!(
            Level::of(&[i16::MIN]),
            Level {
                rms: 1.0,
                peak: 1.0
            }
        );
    }

    #[test]
    fn silence_and_nothing_are_silent() {
        assert_eq!(Level::of::<i16>(&[]), Level::default());
        assert_eq!(Level::of(&[0_i16; 300]), Level::default());
        assert_eq!(dbfs(0.0), f32::NEG_INFINITY);
    }
}
