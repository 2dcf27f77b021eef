//! Levels: root mean square and peak.

use thiserror::Error;

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
        // A chunk is summed in f32 (fast), the chunks in f64 (precise enough for an hour).
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

/// Why a meter cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LevelMeterError {
    /// The rate is zero.
    #[error("sample_rate is 0: expected samples per second")]
    Rate,
    /// The time constant is not a positive number.
    #[error("integration is {0} seconds: expected a positive number")]
    Integration(f64),
    /// The peak would rise by itself.
    #[error("fall is {0} dB per second: expected zero or a positive number")]
    Fall(f64),
}

/// Measures the level of a stream, independently of how it is split into chunks.
#[derive(Clone, Debug)]
pub struct LevelMeter {
    /// Weight of one sample in the exponential mean.
    weight: f32,
    /// The factor by which the peak falls with each sample.
    decay: f32,
    mean_square: f32,
    peak: f32,
}

impl LevelMeter {
    /// A meter whose mean square has the time constant `integration`, in seconds, and whose peak falls
    /// by `fall` decibels per second.
    pub fn new(sample_rate: u32, integration: f64, fall: f64) -> Result<Self, LevelMeterError> {
        if sample_rate == 0 {
            return Err(LevelMeterError::Rate);
        }
        if !(integration > 0.0 && integration.is_finite()) {
            return Err(LevelMeterError::Integration(integration));
        }
        if !(fall >= 0.0 && fall.is_finite()) {
            return Err(LevelMeterError::Fall(fall));
        }
        let rate = f64::from(sample_rate);
        Ok(Self {
            weight: -(-1.0 / (rate * integration)).exp_m1() as f32,
            decay: 10.0_f64.powf(-fall / 20.0 / rate) as f32,
            mean_square: 0.0,
            peak: 0.0,
        })
    }

    /// Processes samples and returns the level after the last of them.
    pub fn process<S: Sample>(&mut self, samples: &[S]) -> Level {
        for sample in samples {
            let sample = sample.to_unit();
            self.mean_square += self.weight * (sample * sample - self.mean_square);
            self.peak = (self.peak * self.decay).max(sample.abs());
        }
        Level {
            rms: self.mean_square.sqrt(),
            peak: self.peak,
        }
    }
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

    #[test]
    fn a_meter_approaches_a_steady_level_and_its_peak_falls_as_asked() {
        let mut meter = LevelMeter::new(8_000, 0.1, 20.0).unwrap();
        let steady = meter.process(&vec![0.5_f32; 8_000]);
        assert!((steady.rms - 0.5).abs() < 0.001, "{steady:?}");
        let later = meter.process(&vec![0.0_f32; 8_000]);
        assert!(
            (dbfs(later.peak) - dbfs(0.5) + 20.0).abs() < 0.05,
            "{later:?}"
        );
        assert!(later.rms < 0.005, "{later:?}");
    }

    #[test]
    fn a_meter_does_not_see_how_the_stream_was_cut() {
        let sound: Vec<i16> = (0..2_000)
            .map(|n| (n * 7919 % 65_536 - 32_768) as i16)
            .collect();
        let mut whole = LevelMeter::new(24_000, 0.3, 20.0).unwrap();
        let mut cut = whole.clone();
        let expected = whole.process(&sound);
        let last = sound.chunks(37).map(|chunk| cut.process(chunk)).last();
        assert_eq!(last, Some(expected));
    }

    #[test]
    fn impossible_settings_of_a_meter_are_refused() {
        let refused =
            |rate, integration, fall| LevelMeter::new(rate, integration, fall).unwrap_err();
        assert_eq!(refused(0, 0.3, 20.0), LevelMeterError::Rate);
        assert_eq!(refused(8_000, 0.0, 20.0), LevelMeterError::Integration(0.0));
        assert_eq!(refused(8_000, 0.3, -1.0), LevelMeterError::Fall(-1.0));
    }
}
