//! The audio formats of the realtime wire: one table of their names, rates, sizes and codecs, and the
//! exact arithmetic of bytes and milliseconds.

use std::fmt;

use thiserror::Error;

use super::g711;

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

/// The sample rates of an encoding.
#[derive(Clone, Copy)]
enum Rates {
    /// Every rate from 1 on, and the one that applies when the wire names none.
    Any { default: u32 },
    /// This rate alone; the named standard fixes it.
    Fixed { rate: u32, standard: &'static str },
}

/// The properties of a format, by its `type`. A new format is one more of these and a variant of
/// [`AudioFormat`].
struct Encoding {
    /// The `type` on the wire.
    name: &'static str,
    rates: Rates,
    bytes_per_sample: usize,
    /// The byte that, repeated, is silence.
    silence: u8,
    /// The format at one of the `rates`.
    at: fn(u32) -> AudioFormat,
    /// Appends samples in this encoding.
    encode: fn(&[i16], &mut Vec<u8>),
    /// Appends the samples of whole encoded samples.
    decode: fn(&[u8], &mut Vec<i16>),
}

const G711: Rates = Rates::Fixed {
    rate: 8_000,
    standard: "G.711",
};

#[rustfmt::skip]
static PCM: Encoding = Encoding {
    name: "audio/pcm", rates: Rates::Any { default: 24_000 }, bytes_per_sample: 2, silence: 0,
    at: |rate| AudioFormat::Pcm { rate }, encode: linear_encode, decode: linear_decode,
};
#[rustfmt::skip]
static L16: Encoding = Encoding {
    name: "audio/l16", rates: Rates::Any { default: 16_000 }, bytes_per_sample: 2, silence: 0,
    at: |rate| AudioFormat::Pcm { rate }, encode: linear_encode, decode: linear_decode,
};
#[rustfmt::skip]
static MULAW: Encoding = Encoding {
    name: "audio/pcmu", rates: G711, bytes_per_sample: 1, silence: 0xFF,
    at: |_| AudioFormat::Mulaw, encode: mulaw_encode, decode: mulaw_decode,
};
#[rustfmt::skip]
static ALAW: Encoding = Encoding {
    name: "audio/pcma", rates: G711, bytes_per_sample: 1, silence: 0xD5,
    at: |_| AudioFormat::Alaw, encode: alaw_encode, decode: alaw_decode,
};

/// All encodings that the wire may name.
static ENCODINGS: [&Encoding; 4] = [&PCM, &L16, &MULAW, &ALAW];

/// Why a wire name and a rate are no [`AudioFormat`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The table has no such type.
    #[error("audio format type {0:?} is unknown: use {names}", names = known_names())]
    UnknownType(String),
    /// A rate of 0.
    #[error("{0} rate is 0: use the number of samples per second, such as 24000")]
    ZeroRate(&'static str),
    /// Another rate than the only one of the format.
    #[error("{name} has rate {rate}: {standard} is {only} samples per second, leave the rate out")]
    FixedRate {
        /// The wire name of the format.
        name: &'static str,
        /// The requested rate.
        rate: u32,
        /// The only rate of the format.
        only: u32,
        /// The standard that fixes it.
        standard: &'static str,
    },
}

impl Default for AudioFormat {
    /// `audio/pcm` at 24 kHz, the wire's default.
    fn default() -> Self {
        Self::Pcm { rate: 24_000 }
    }
}

impl AudioFormat {
    /// The `type`s that the wire may name.
    pub fn types() -> impl Iterator<Item = &'static str> {
        ENCODINGS.iter().map(|encoding| encoding.name)
    }

    /// The format named by a `type` and a `rate`. Without a rate it has the default of the type:
    /// 24,000 for `audio/pcm`, 16,000 for `audio/l16` (the same samples, little endian as all PCM of this
    /// wire), 8,000 for G.711.
    pub fn from_wire(kind: &str, rate: Option<u32>) -> Result<Self, FormatError> {
        let encoding = ENCODINGS
            .iter()
            .find(|encoding| encoding.name == kind)
            .ok_or_else(|| FormatError::UnknownType(kind.to_owned()))?;
        let name = encoding.name;
        match (encoding.rates, rate) {
            (Rates::Any { .. }, Some(0)) => Err(FormatError::ZeroRate(name)),
            (Rates::Any { default }, rate) => Ok((encoding.at)(rate.unwrap_or(default))),
            (
                Rates::Fixed {
                    rate: only,
                    standard,
                },
                Some(rate),
            ) if rate != only => Err(FormatError::FixedRate {
                name,
                rate,
                only,
                standard,
            }),
            (Rates::Fixed { rate, .. }, _) => Ok((encoding.at)(rate)),
        }
    }

    /// The `type` on the wire.
    pub fn wire_name(self) -> &'static str {
        self.encoding().name
    }

    /// Samples per second.
    pub fn sample_rate(self) -> u32 {
        match (self, self.encoding().rates) {
            (Self::Pcm { rate }, _) | (_, Rates::Fixed { rate, .. }) => rate,
            (_, Rates::Any { default }) => default,
        }
    }

    /// Bytes of one sample.
    pub fn bytes_per_sample(self) -> usize {
        self.encoding().bytes_per_sample
    }

    /// The duration of `bytes` in this format, in milliseconds.
    ///
    /// The quotient of two exact integers, rounded once: `bytes / 2 / rate * 1000` for PCM,
    /// `bytes / 8` for G.711.
    pub fn duration_ms(self, bytes: u64) -> f64 {
        let bytes_per_second = u64::from(self.sample_rate()) * self.bytes_per_sample() as u64;
        (bytes * 1000) as f64 / bytes_per_second as f64
    }

    /// The byte that, repeated, is silence.
    pub fn silence(self) -> u8 {
        self.encoding().silence
    }

    /// Appends `samples` to `out` in this format.
    pub fn encode(self, samples: &[i16], out: &mut Vec<u8>) {
        (self.encoding().encode)(samples, out);
    }

    /// Appends the samples that `bytes` hold to `out`. An incomplete sample at the end is ignored.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<i16>) {
        (self.encoding().decode)(bytes, out);
    }

    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Pcm { .. } => &PCM,
            Self::Mulaw => &MULAW,
            Self::Alaw => &ALAW,
        }
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

/// The wire names as a list for people: `a, b or c`.
fn known_names() -> String {
    let [others @ .., last] = ENCODINGS.map(|encoding| encoding.name);
    format!("{} or {last}", others.join(", "))
}

/// Appends samples as linear PCM.
pub(super) fn linear_encode(samples: &[i16], out: &mut Vec<u8>) {
    if cfg!(target_endian = "little") {
        out.extend_from_slice(bytemuck::cast_slice(samples));
    } else {
        out.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    }
}

fn linear_decode(bytes: &[u8], out: &mut Vec<i16>) {
    let (pairs, _) = bytes.as_chunks();
    out.extend(pairs.iter().map(|pair| i16::from_le_bytes(*pair)));
}

fn mulaw_encode(samples: &[i16], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + samples.len(), 0);
    g711::mulaw_encode(samples, &mut out[start..]);
}

fn mulaw_decode(bytes: &[u8], out: &mut Vec<i16>) {
    let start = out.len();
    out.resize(start + bytes.len(), 0);
    g711::mulaw_decode(bytes, &mut out[start..]);
}

fn alaw_encode(samples: &[i16], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + samples.len(), 0);
    g711::alaw_encode(samples, &mut out[start..]);
}

fn alaw_decode(bytes: &[u8], out: &mut Vec<i16>) {
    let start = out.len();
    out.resize(start + bytes.len(), 0);
    g711::alaw_decode(bytes, &mut out[start..]);
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
        assert_eq!(
            parse("audio/pcm", Some(0)),
            Err(FormatError::ZeroRate("audio/pcm"))
        );
        assert_eq!(
            parse("audio/pcmu", Some(24_000)),
            Err(FormatError::FixedRate {
                name: "audio/pcmu",
                rate: 24_000,
                only: 8_000,
                standard: "G.711",
            })
        );
    }

    #[test]
    fn refusals_name_the_format_and_the_remedy() {
        let refusal = |kind, rate| AudioFormat::from_wire(kind, rate).unwrap_err().to_string();
        assert_eq!(
            refusal("pcm16", None),
            "audio format type \"pcm16\" is unknown: use audio/pcm, audio/l16, \
             audio/pcmu or audio/pcma"
        );
        assert_eq!(
            refusal("audio/pcma", Some(16_000)),
            "audio/pcma has rate 16000: G.711 is 8000 samples per second, leave the rate out"
        );
        assert_eq!(
            refusal("audio/pcm", Some(0)),
            "audio/pcm rate is 0: use the number of samples per second, such as 24000"
        );
    }

    #[test]
    fn every_row_of_the_table_belongs_to_its_format() {
        for encoding in ENCODINGS {
            let format = AudioFormat::from_wire(encoding.name, None).unwrap();
            // Two names may stand for one format, which has the first.
            let named = AudioFormat::from_wire(format.wire_name(), Some(format.sample_rate()));
            assert_eq!(named, Ok(format));
            assert_eq!((encoding.at)(format.sample_rate()), format);
            let mut silence = Vec::new();
            format.encode(&[0; 3], &mut silence);
            assert_eq!(
                silence,
                vec![format.silence(); 3 * format.bytes_per_sample()]
            );
            let mut samples = Vec::new();
            format.decode(&silence, &mut samples);
            assert!(samples.len() == 3 && samples.iter().all(|sample| sample.abs() <= 8));
        }
        assert_eq!(
            AudioFormat::from_wire("audio/pcm", None),
            Ok(AudioFormat::default())
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
    }

    proptest! {
        #[test]
        fn a_duration_gives_its_samples_back(samples in 0_u64..1 << 40, rate in 1_u32..400_000) {
            let milliseconds = AudioFormat::Pcm { rate }.duration_ms(samples * 2);
            let back = milliseconds * f64::from(rate) / 1000.0;
            prop_assert!((back - samples as f64).abs() < 1.0, "{} -> {}", samples, back);
        }
    }
}
