//! The encoder and its settings.

use std::fmt;

use ::opus::{Bitrate, Channels};

use super::{FRAME_UNITS, MAX_PACKET, OpusError, append, check_rate, codec_error, unit};

/// The goal of the encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Application {
    /// Intelligible speech.
    #[default]
    Voip,
    /// Fidelity to the input.
    Audio,
    /// The lowest delay, without the codec's speech modes.
    LowDelay,
}

/// The settings of an encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncoderSettings {
    /// The goal.
    pub application: Application,
    /// Bits per second, 500 to 512,000; `None` lets the codec choose.
    pub bitrate: Option<u32>,
    /// Effort, 0 to 10; `None` is the codec's default.
    pub complexity: Option<u32>,
    /// Whether packets carry a coarse copy of the previous packet, for [`OpusDecoder::recover_i16`](super::OpusDecoder::recover_i16); it
    /// requires an `expected_loss` above zero.
    pub fec: bool,
    /// The expected share of lost packets, 0 to 100 percent.
    pub expected_loss: u32,
    /// Whether silence is sent as packets of a byte or two.
    pub dtx: bool,
}

/// Encodes one stream.
pub struct OpusEncoder {
    codec: ::opus::Encoder,
    settings: EncoderSettings,
    rate: u32,
    lookahead: usize,
}

impl OpusEncoder {
    /// An encoder of mono sound at one of the [`RATES`].
    pub fn new(rate: u32, settings: EncoderSettings) -> Result<Self, OpusError> {
        check_rate(rate)?;
        let application = match settings.application {
            Application::Voip => ::opus::Application::Voip,
            Application::Audio => ::opus::Application::Audio,
            Application::LowDelay => ::opus::Application::LowDelay,
        };
        let mut codec =
            ::opus::Encoder::new(rate, Channels::Mono, application).map_err(codec_error)?;
        if let Some(complexity) = settings.complexity {
            within("complexity", complexity, 0, 10, "0 to 10")?;
            codec
                .set_complexity(complexity as i32)
                .map_err(codec_error)?;
        }
        codec.set_dtx(settings.dtx).map_err(codec_error)?;
        let lookahead = codec.get_lookahead().map_err(codec_error)? as usize;
        let mut encoder = Self {
            codec,
            settings,
            rate,
            lookahead,
        };
        encoder.follow_network(settings)?;
        Ok(encoder)
    }

    /// Encodes with these settings from the next frame on. Where more than the bitrate and what is done about
    /// lost packets differs from the settings before, the codec begins anew.
    pub fn adapt(&mut self, settings: EncoderSettings) -> Result<(), OpusError> {
        let alike = EncoderSettings {
            bitrate: self.settings.bitrate,
            fec: self.settings.fec,
            expected_loss: self.settings.expected_loss,
            ..settings
        };
        if alike == self.settings {
            self.follow_network(settings)?;
        } else {
            *self = Self::new(self.rate, settings)?;
        }
        Ok(())
    }

    /// Drops the state: the next frame does not follow the last one.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        self.codec.reset_state().map_err(codec_error)
    }

    /// Sets what depends on the network.
    fn follow_network(&mut self, settings: EncoderSettings) -> Result<(), OpusError> {
        let bitrate = match settings.bitrate {
            None => Bitrate::Auto,
            Some(bits) => {
                let expected = "500 to 512000 bits per second";
                within("bitrate", bits, 500, 512_000, expected)?;
                Bitrate::Bits(bits as i32)
            }
        };
        let loss = settings.expected_loss;
        within("expected_loss", loss, 0, 100, "0 to 100 percent")?;
        let codec = &mut self.codec;
        codec.set_bitrate(bitrate).map_err(codec_error)?;
        codec
            .set_packet_loss_perc(loss as i32)
            .map_err(codec_error)?;
        codec.set_inband_fec(settings.fec).map_err(codec_error)?;
        self.settings = settings;
        Ok(())
    }

    /// The bitrate, as it was set or as the codec has chosen it, in bits per second.
    pub fn bitrate(&mut self) -> u32 {
        match (self.settings.bitrate, self.codec.get_bitrate()) {
            (Some(bits), _) => bits,
            (None, Ok(Bitrate::Bits(bits))) => bits.max(0) as u32,
            (None, _) => 0,
        }
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The delay of the codec, in seconds, in addition to the duration of a frame.
    pub fn delay(&self) -> f64 {
        self.lookahead as f64 / f64::from(self.rate)
    }

    /// Encodes a frame of 2.5, 5, 10, 20, 40 or 60 ms and appends its packet to `packet`.
    pub fn encode_i16(&mut self, frame: &[i16], packet: &mut Vec<u8>) -> Result<(), OpusError> {
        self.check_frame(frame.len())?;
        append(packet, MAX_PACKET, |room| self.codec.encode(frame, room)).map_err(codec_error)
    }

    /// [`encode_i16`](Self::encode_i16) for samples in `-1.0..=1.0`.
    pub fn encode_f32(&mut self, frame: &[f32], packet: &mut Vec<u8>) -> Result<(), OpusError> {
        self.check_frame(frame.len())?;
        append(packet, MAX_PACKET, |room| {
            self.codec.encode_float(frame, room)
        })
        .map_err(codec_error)
    }

    fn check_frame(&self, samples: usize) -> Result<(), OpusError> {
        let unit = unit(self.rate);
        if FRAME_UNITS.iter().any(|units| units * unit == samples) {
            Ok(())
        } else {
            Err(OpusError::FrameLength {
                samples,
                rate: self.rate,
            })
        }
    }
}

impl fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusEncoder")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

fn within(
    argument: &'static str,
    value: u32,
    low: u32,
    high: u32,
    expected: &'static str,
) -> Result<(), OpusError> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(OpusError::Setting {
            argument,
            value,
            expected,
        })
    }
}
