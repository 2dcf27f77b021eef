//! Opus (RFC 6716), mono: packets to samples and back, at 8 to 48 kHz.
//!
//! The codec resamples internally: sound at 24 kHz needs no resampler for a peer that negotiated
//! `opus/48000`. The codec is libopus, linked into the binary.

mod decoder;
mod encoder;
pub mod packet;

use thiserror::Error;

pub use decoder::OpusDecoder;
pub use encoder::{Application, EncoderSettings, OpusEncoder};

/// The sample rates of Opus.
pub const RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

/// The longest packet that the encoder makes, in bytes: three frames of 1,275 bytes (RFC 6716 section
/// 3.2.5) and their lengths.
pub const MAX_PACKET: usize = 3 * 1_275 + 7;

/// Durations of a frame, in units of 2.5 ms: 2.5, 5, 10, 20, 40 and 60 ms.
const FRAME_UNITS: [usize; 6] = [1, 2, 4, 8, 16, 24];

/// The longest duration that a packet can have, in units of 2.5 ms: 120 ms.
const MAX_PACKET_UNITS: usize = 48;

/// How many units of 2.5 ms are in a second.
const UNITS_PER_SECOND: u32 = 400;

/// Why encoding or decoding failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpusError {
    /// A sample rate that Opus does not have.
    #[error("sample_rate is {0}: Opus has 8000, 12000, 16000, 24000 and 48000")]
    Rate(u32),
    /// A setting out of its range.
    #[error("{argument} is {value}: expected {expected}")]
    Setting {
        /// The setting's name.
        argument: &'static str,
        /// Its value.
        value: u32,
        /// The valid range.
        expected: &'static str,
    },
    /// A frame of a duration that Opus does not have.
    #[error(
        "frame has {samples} samples: Opus takes 2.5, 5, 10, 20, 40 or 60 ms, \
         which 20 ms at {rate} Hz is {} samples", rate / 50
    )]
    FrameLength {
        /// Its length.
        samples: usize,
        /// The encoder's rate.
        rate: u32,
    },
    /// A duration to conceal that is no multiple of 2.5 ms up to 120 ms.
    #[error("{samples} samples at {rate} Hz are not 2.5 to 120 ms in steps of 2.5 ms")]
    LossLength {
        /// Its length.
        samples: usize,
        /// The decoder's rate.
        rate: u32,
    },
    /// Bytes that are no Opus packet.
    #[error("packet is not valid Opus: {0} bytes that RFC 6716 does not allow")]
    Packet(usize),
    /// libopus reported an error that its documentation does not mention.
    #[error("libopus: {0}")]
    Codec(&'static str),
}

/// The number of samples in 2.5 ms.
fn unit(rate: u32) -> usize {
    (rate / UNITS_PER_SECOND) as usize
}

fn check_rate(rate: u32) -> Result<(), OpusError> {
    if RATES.contains(&rate) {
        Ok(())
    } else {
        Err(OpusError::Rate(rate))
    }
}

/// Appends the elements that `write` puts into a slice of `room` elements: as many as it returns, none
/// if it fails.
fn append<T: Clone + Default, E>(
    out: &mut Vec<T>,
    room: usize,
    write: impl FnOnce(&mut [T]) -> Result<usize, E>,
) -> Result<(), E> {
    let start = out.len();
    out.resize(start + room, T::default());
    let written = write(&mut out[start..]);
    out.truncate(start + written.as_ref().copied().unwrap_or_default());
    written.map(drop)
}

#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn codec_error(error: ::opus::Error) -> OpusError {
    OpusError::Codec(error.description())
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    fn tone(rate: u32, seconds: f32) -> Vec<f32> {
        (0..(rate as f32 * seconds) as usize)
            .map(|n| 0.4 * (TAU * 400.0 * n as f32 / rate as f32).sin())
            .collect()
    }

    fn encode(rate: u32, settings: EncoderSettings, sound: &[f32]) -> Vec<Vec<u8>> {
        let mut encoder = OpusEncoder::new(rate, settings).unwrap();
        sound
            .chunks_exact(rate as usize / 50)
            .map(|frame| {
                let mut packet = Vec::new();
                encoder.encode_f32(frame, &mut packet).unwrap();
                packet
            })
            .collect()
    }

    fn energy(samples: &[f32]) -> f32 {
        samples.iter().map(|sample| sample * sample).sum::<f32>() / samples.len() as f32
    }

    /// How much of `sound` is the tone, found at whatever delay fits best, as a share of its energy.
    fn tonality(sound: &[f32], rate: u32) -> f32 {
        let angle = |n: usize| TAU * 400.0 * n as f32 / rate as f32;
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, sample) in sound.iter().enumerate() {
            sine += sample * angle(n).sin();
            cosine += sample * angle(n).cos();
        }
        let length = sound.len() as f32;
        2.0 * (sine * sine + cosine * cosine) / (length * length) / energy(sound)
    }

    #[test]
    fn a_tone_survives_every_pair_of_rates() {
        for from in RATES {
            let packets = encode(from, EncoderSettings::default(), &tone(from, 0.5));
            for to in RATES {
                let mut decoder = OpusDecoder::new(to).unwrap();
                let mut out = Vec::new();
                for packet in &packets {
                    decoder.decode_f32(packet, &mut out).unwrap();
                }
                assert_eq!(out.len(), to as usize / 2, "{from} -> {to}");
                let settled = &out[to as usize / 10..];
                assert!(tonality(settled, to) > 0.95, "{from} -> {to}");
                assert!(
                    (energy(settled) / 0.08).log2().abs() < 0.5,
                    "{from} -> {to}"
                );
            }
        }
    }

    #[test]
    fn a_lost_packet_is_concealed_and_better_recovered() {
        let settings = EncoderSettings {
            fec: true,
            expected_loss: 30,
            bitrate: Some(32_000),
            ..<_>::default()
        };
        // A sweep, which cannot be guessed from what came before.
        let sound: Vec<f32> = (0..8_000)
            .map(|n| 0.4 * (n as f32 * n as f32 * 2e-5).sin())
            .collect();
        let packets = encode(16_000, settings, &sound);
        let lost = 12;
        let whole = |fill: &dyn Fn(&mut OpusDecoder, &mut Vec<f32>)| {
            let mut decoder = OpusDecoder::new(16_000).unwrap();
            let mut out = Vec::new();
            for (n, packet) in packets.iter().enumerate() {
                if n == lost {
                    fill(&mut decoder, &mut out);
                } else {
                    decoder.decode_f32(packet, &mut out).unwrap();
                }
            }
            assert_eq!(out.len(), 8_000);
            out[lost * 320..(lost + 1) * 320].to_vec()
        };
        let sent = whole(&|decoder, out| decoder.decode_f32(&packets[lost], out).unwrap());
        let concealed = whole(&|decoder, out| {
            decoder.conceal_f32(decoder.last_duration(), out).unwrap();
        });
        let recovered = whole(&|decoder, out| {
            decoder
                .recover_f32(decoder.last_duration(), &packets[lost + 1], out)
                .unwrap();
        });
        let error = |guess: &[f32]| {
            let difference: Vec<f32> = guess.iter().zip(&sent).map(|(a, b)| a - b).collect();
            energy(&difference) / energy(&sent)
        };
        assert!(
            energy(&concealed) > 0.01 * energy(&sent),
            "concealment is not silence"
        );
        assert!(error(&recovered) < 0.5 * error(&concealed));
    }

    #[test]
    fn silence_with_dtx_takes_next_to_nothing() {
        let settings = EncoderSettings {
            dtx: true,
            ..<_>::default()
        };
        let packets = encode(16_000, settings, &vec![0.0; 32_000]);
        assert!(
            packets[50..]
                .iter()
                .filter(|packet| packet.len() <= 2)
                .count()
                > 20
        );
    }

    #[test]
    fn a_higher_bitrate_makes_longer_packets() {
        let sizes = [12_000, 64_000].map(|bitrate| {
            let settings = EncoderSettings {
                bitrate: Some(bitrate),
                ..<_>::default()
            };
            encode(24_000, settings, &tone(24_000, 0.5)).concat().len()
        });
        assert!(sizes[1] > 2 * sizes[0], "{sizes:?}");
    }

    #[test]
    fn impossible_settings_and_frames_are_refused() {
        assert_eq!(
            OpusDecoder::new(44_100).unwrap_err(),
            OpusError::Rate(44_100)
        );
        let refused = |settings| OpusEncoder::new(24_000, settings).unwrap_err().to_string();
        let bitrate = refused(EncoderSettings {
            bitrate: Some(1),
            ..<_>::default()
        });
        assert_eq!(
            bitrate,
            "bitrate is 1: expected 500 to 512000 bits per second"
        );
        let complexity = refused(EncoderSettings {
            complexity: Some(11),
            ..<_>::default()
        });
        assert_eq!(complexity, "complexity is 11: expected 0 to 10");
        let loss = refused(EncoderSettings {
            expected_loss: 101,
            ..<_>::default()
        });
        assert_eq!(loss, "expected_loss is 101: expected 0 to 100 percent");

        let mut encoder = OpusEncoder::new(24_000, EncoderSettings::default()).unwrap();
        let error = encoder.encode_i16(&[0; 481], &mut Vec::new()).unwrap_err();
        assert_eq!(
            error,
            OpusError::FrameLength {
                samples: 481,
                rate: 24_000
            }
        );
        let mut decoder = OpusDecoder::new(24_000).unwrap();
        for samples in [0, 61, 60 * 49] {
            let error = decoder.conceal_i16(samples, &mut Vec::new()).unwrap_err();
            assert_eq!(
                error,
                OpusError::LossLength {
                    samples,
                    rate: 24_000
                }
            );
        }
        assert_eq!(
            decoder.decode_i16(&[], &mut Vec::new()),
            Err(OpusError::Packet(0))
        );
    }

    proptest! {
        #[test]
        fn every_frame_of_a_legal_duration_becomes_a_packet_of_that_duration(
            rate in prop::sample::select(&RATES[..]),
            units in prop::sample::select(&FRAME_UNITS[..]),
            seed: Vec<i16>,
        ) {
            let samples = units * unit(rate);
            let frame: Vec<i16> = seed.into_iter().chain([0]).cycle().take(samples).collect();
            let mut encoder = OpusEncoder::new(rate, EncoderSettings::default()).unwrap();
            let mut packet = Vec::new();
            encoder.encode_i16(&frame, &mut packet).unwrap();
            prop_assert!((1..=MAX_PACKET).contains(&packet.len()));
            let mut out = Vec::new();
            OpusDecoder::new(rate).unwrap().decode_i16(&packet, &mut out).unwrap();
            prop_assert_eq!(out.len(), samples);
        }

        #[test]
        fn random_bytes_are_decoded_or_refused_and_the_stream_goes_on(
            junk in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut decoder = OpusDecoder::new(24_000).unwrap();
            let mut out = Vec::new();
            match decoder.decode_i16(&junk, &mut out) {
                Ok(()) => prop_assert!(out.len() % 60 == 0 && (60..=60 * 48).contains(&out.len())),
                Err(error) => {
                    prop_assert_eq!(error, OpusError::Packet(junk.len()));
                    prop_assert!(out.is_empty());
                }
            }
            let packet = encode(24_000, EncoderSettings::default(), &[0.0; 480]).remove(0);
            out.clear();
            decoder.decode_i16(&packet, &mut out).unwrap();
            prop_assert_eq!(out.len(), 480);
        }
    }
}
