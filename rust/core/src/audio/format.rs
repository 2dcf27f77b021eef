//! The audio formats of the realtime wire and their exact arithmetic of bytes and milliseconds.

use std::fmt;

use thiserror::Error;

/// The rate of `audio/pcm` when the wire does not name one, in samples per second.
pub const DEFAULT_PCM_RATE: u32 = 24_000;

/// The rate of G.711, in samples per second; one byte each.
pub const G711_RATE: u32 = 8_000;

/// A format of audio on the wire. Always mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AudioFormat {
    /// Linear 16-bit little-endian PCM, `audio/pcm`.
    Pcm {
        /// Samples per second, at least 1.
        rate: u32,
    },
    /// G.711 mu-law at 8 kHz, `audio/pcmu`.
    Mulaw,
    /// G.711 A-law at 8 kHz, `audio/pcma`.
    Alaw,
}

/// Why a wire name is no [`AudioFormat`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The type is none of the three.
    #[error("audio format type {0:?} is unknown: use audio/pcm, audio/pcmu or audio/pcma")]
    UnknownType(String),
    /// `audio/pcm` with rate 0.
    #[error("audio/pcm rate is 0: use the number of samples per second, such as 24000")]
    ZeroRate,
    /// `audio/pcmu` or `audio/pcma` with another rate than theirs.
    #[error("{name} has rate {rate}: G.711 is 8000 samples per second, leave the rate out")]
    G711Rate {
        /// The wire name of the format.
        name: &'static str,
        /// The rate that was asked for.
        rate: u32,
    },
}

impl Default for AudioFormat {
    /// `audio/pcm` at 24 kHz, what the wire uses unless told otherwise.
    fn default() -> Self {
        Self::Pcm {
            rate: DEFAULT_PCM_RATE,
        }
    }
}

impl AudioFormat {
    /// The format named by a `type` and, for `audio/pcm`, a `rate` (24,000 if absent).
    pub fn from_wire(kind: &str, rate: Option<u32>) -> Result<Self, FormatError> {
        let format = match kind {
            "audio/pcm" => match rate.unwrap_or(DEFAULT_PCM_RATE) {
                0 => return Err(FormatError::ZeroRate),
                rate => return Ok(Self::Pcm { rate }),
            },
            "audio/pcmu" => Self::Mulaw,
            "audio/pcma" => Self::Alaw,
            other => return Err(FormatError::UnknownType(other.to_owned())),
        };
        match rate {
            None | Some(G711_RATE) => Ok(format),
            Some(rate) => Err(FormatError::G711Rate {
                name: format.wire_name(),
                rate,
            }),
        }
    }

    /// The `type` on the wire.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Pcm { .. } => "audio/pcm",
            Self::Mulaw => "audio/pcmu",
            Self::Alaw => "audio/pcma",
        }
    }

    /// Samples per second.
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Pcm { rate } => rate,
            Self::Mulaw | Self::Alaw => G711_RATE,
        }
    }

    /// Bytes of one sample.
    pub const fn bytes_per_sample(self) -> usize {
        match self {
            Self::Pcm { .. } => 2,
            Self::Mulaw | Self::Alaw => 1,
        }
    }

    /// How long `bytes` of this format sound, in milliseconds.
    ///
    /// The quotient of two exact integers, rounded once: `bytes / 2 / rate * 1000` for PCM,
    /// `bytes / 8` for G.711.
    pub fn duration_ms(self, bytes: u64) -> f64 {
        (bytes * 1000) as f64 / self.bytes_per_second() as f64
    }

    /// How many bytes sound for at most `ms` milliseconds: whole samples, rounded down.
    /// Zero for a negative or not-a-number `ms`.
    pub fn bytes_within_ms(self, ms: f64) -> u64 {
        let samples = (ms * f64::from(self.sample_rate()) / 1000.0).floor();
        // A float-to-integer cast saturates; negative and NaN become zero.
        (samples as u64).saturating_mul(self.bytes_per_sample() as u64)
    }

    /// The byte that, repeated, is silence.
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcm { .. } => 0,
            Self::Mulaw => 0xFF,
            Self::Alaw => 0xD5,
        }
    }

    const fn bytes_per_second(self) -> u64 {
        self.sample_rate() as u64 * self.bytes_per_sample() as u64
    }
}

impl fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pcm { rate } => write!(f, "audio/pcm at {rate} Hz"),
            other => f.write_str(other.wire_name()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "exactness is what is tested")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wire_names_parse_to_their_formats() {
        let parse = AudioFormat::from_wire;
        assert_eq!(
            parse("audio/pcm", None),
            Ok(AudioFormat::Pcm { rate: 24_000 })
        );
        assert_eq!(
            parse("audio/pcm", Some(16_000)),
            Ok(AudioFormat::Pcm { rate: 16_000 })
        );
        assert_eq!(parse("audio/pcmu", None), Ok(AudioFormat::Mulaw));
        assert_eq!(parse("audio/pcma", Some(8_000)), Ok(AudioFormat::Alaw));
    }

    #[test]
    fn unknown_names_and_impossible_rates_are_refused() {
        let parse = AudioFormat::from_wire;
        assert_eq!(
            parse("pcm16", None),
            Err(FormatError::UnknownType("pcm16".into()))
        );
        assert_eq!(parse("audio/pcm", Some(0)), Err(FormatError::ZeroRate));
        assert_eq!(
            parse("audio/pcmu", Some(24_000)),
            Err(FormatError::G711Rate {
                name: "audio/pcmu",
                rate: 24_000
            })
        );
    }

    #[test]
    fn durations_are_exact() {
        assert_eq!(AudioFormat::default().duration_ms(4_800), 100.0);
        assert_eq!(
            AudioFormat::Pcm { rate: 44_100 }.duration_ms(2),
            1000.0 / 44_100.0
        );
        assert_eq!(AudioFormat::Mulaw.duration_ms(160), 20.0);
        assert_eq!(AudioFormat::Alaw.duration_ms(1), 0.125);
        assert_eq!(AudioFormat::default().bytes_within_ms(20.0), 960);
        assert_eq!(AudioFormat::Mulaw.bytes_within_ms(0.2), 1);
        assert_eq!(AudioFormat::Mulaw.bytes_within_ms(-3.0), 0);
        assert_eq!(AudioFormat::Mulaw.bytes_within_ms(f64::NAN), 0);
    }

    proptest! {
        #[test]
        fn bytes_within_their_own_duration_lose_at_most_one_sample(
            samples in 0_u64..1 << 40,
            rate in 1_u32..400_000,
        ) {
            let format = AudioFormat::Pcm { rate };
            let bytes = samples * 2;
            let back = format.bytes_within_ms(format.duration_ms(bytes));
            prop_assert!(back <= bytes + 2 && back + 2 >= bytes, "{} -> {}", bytes, back);
        }
    }
}
