//! The two sample types of this module's interface.

mod sealed {
    pub trait Sealed {}
    impl Sealed for i16 {}
    impl Sealed for f32 {}
}

/// Full scale of 16-bit PCM: the integer that stands for 1.0.
const FULL_SCALE: f32 = 32_768.0;

/// Adding 1.5 * 2^23 rounds a float of magnitude below 2^22 to the nearest integer, ties to even, and
/// leaves it in the low bits. Unlike `f32::round_ties_even` it needs no SSE4.1 to be fast.
const ROUND_TO_INTEGER: f32 = 12_582_912.0;

/// A sample of sound: `i16` (linear PCM) or `f32` (unit scale, `-1.0..=1.0`).
///
/// Sealed: the arithmetic of this module is tested for these two types.
pub trait Sample: Copy + Default + Send + Sync + sealed::Sealed + 'static {
    /// The sample on the unit scale. Exact for both types.
    fn to_unit(self) -> f32;

    /// The sample nearest to a value on the unit scale (ties to even); out of range saturates.
    fn from_unit(unit: f32) -> Self;
}

impl Sample for i16 {
    #[inline]
    fn to_unit(self) -> f32 {
        f32::from(self) * (1.0 / FULL_SCALE)
    }

    #[inline]
    fn from_unit(unit: f32) -> Self {
        let scaled = (unit * FULL_SCALE).clamp(-32_768.0, 32_767.0);
        // The low bits of the sum are the integer in two's complement.
        (scaled + ROUND_TO_INTEGER).to_bits() as i16
    }
}

impl Sample for f32 {
    #[inline]
    fn to_unit(self) -> f32 {
        self
    }

    #[inline]
    fn from_unit(unit: f32) -> Self {
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_16_bit_sample_survives_the_unit_scale() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(i16::from_unit(sample.to_unit()), sample);
        }
    }

    #[test]
    fn rounding_is_to_nearest_and_saturates() {
        for (scaled, expected) in [
            (0.49, 0),
            (0.51, 1),
            (-0.49, 0),
            (-0.51, -1),
            (0.5, 0),
            (1.5, 2),
            (32_767.4, 32_767),
            (40_000.0, 32_767),
            (-40_000.0, -32_768),
        ] {
            assert_eq!(i16::from_unit(scaled / FULL_SCALE), expected, "{scaled}");
        }
        assert_eq!(i16::from_unit(f32::INFINITY), i16::MAX);
        assert_eq!(i16::from_unit(f32::NAN), 0);
    }
}
