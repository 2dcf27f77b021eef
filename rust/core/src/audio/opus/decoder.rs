//! The decoder: packets to samples, and concealment of lost packets.

use std::fmt;

use ::opus::{Channels, ErrorCode};

use super::{MAX_PACKET_UNITS, OpusError, append, check_rate, codec_error, unit};

/// Decodes one stream.
pub struct OpusDecoder {
    codec: ::opus::Decoder,
    rate: u32,
    /// The duration of the last packet, in samples; 20 ms before the first.
    last: usize,
}

impl OpusDecoder {
    /// A decoder to mono sound at one of the [`RATES`], whatever the encoder's rate and channels.
    pub fn new(rate: u32) -> Result<Self, OpusError> {
        check_rate(rate)?;
        let codec = ::opus::Decoder::new(rate, Channels::Mono).map_err(codec_error)?;
        Ok(Self {
            codec,
            rate,
            last: 8 * unit(rate),
        })
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// The duration of the last packet, in samples: the most likely duration of a lost one.
    pub fn last_duration(&self) -> usize {
        self.last
    }

    /// Decodes a packet and appends its samples to `out`.
    pub fn decode_i16(&mut self, packet: &[u8], out: &mut Vec<i16>) -> Result<(), OpusError> {
        let samples = self.duration(packet)?;
        append(out, samples, |room| self.codec.decode(packet, room, false))
            .map_err(|error| refusal(error, packet))?;
        self.last = samples;
        Ok(())
    }

    /// [`decode_i16`](Self::decode_i16) to samples in `-1.0..=1.0`, which may overshoot.
    pub fn decode_f32(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), OpusError> {
        let samples = self.duration(packet)?;
        append(out, samples, |room| {
            self.codec.decode_float(packet, room, false)
        })
        .map_err(|error| refusal(error, packet))?;
        self.last = samples;
        Ok(())
    }

    /// Appends concealment for `samples` lost samples, 2.5 to 120 ms in steps of 2.5 ms.
    pub fn conceal_i16(&mut self, samples: usize, out: &mut Vec<i16>) -> Result<(), OpusError> {
        self.check_loss(samples)?;
        append(out, samples, |room| self.codec.decode(&[], room, false)).map_err(codec_error)
    }

    /// [`conceal_i16`](Self::conceal_i16) to samples in `-1.0..=1.0`.
    pub fn conceal_f32(&mut self, samples: usize, out: &mut Vec<f32>) -> Result<(), OpusError> {
        self.check_loss(samples)?;
        append(out, samples, |room| {
            self.codec.decode_float(&[], room, false)
        })
        .map_err(codec_error)
    }

    /// Appends the `samples` lost samples before `next` from the copy in it, or concealment if it has none.
    /// Decode `next` afterwards as usual.
    pub fn recover_i16(
        &mut self,
        samples: usize,
        next: &[u8],
        out: &mut Vec<i16>,
    ) -> Result<(), OpusError> {
        self.check_loss(samples)?;
        self.duration(next)?;
        append(out, samples, |room| self.codec.decode(next, room, true))
            .map_err(|error| refusal(error, next))
    }

    /// [`recover_i16`](Self::recover_i16) to samples in `-1.0..=1.0`.
    pub fn recover_f32(
        &mut self,
        samples: usize,
        next: &[u8],
        out: &mut Vec<f32>,
    ) -> Result<(), OpusError> {
        self.check_loss(samples)?;
        self.duration(next)?;
        append(out, samples, |room| {
            self.codec.decode_float(next, room, true)
        })
        .map_err(|error| refusal(error, next))
    }

    /// Drops the state: the next packet belongs to another stream.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        self.codec.reset_state().map_err(codec_error)?;
        self.last = 8 * unit(self.rate);
        Ok(())
    }

    /// The number of samples in a packet.
    fn duration(&self, packet: &[u8]) -> Result<usize, OpusError> {
        // libopus takes an empty packet for a lost one.
        if packet.is_empty() {
            return Err(OpusError::Packet(0));
        }
        self.codec
            .get_nb_samples(packet)
            .map_err(|error| refusal(error, packet))
    }

    fn check_loss(&self, samples: usize) -> Result<(), OpusError> {
        let unit = unit(self.rate);
        if samples.is_multiple_of(unit) && (1..=MAX_PACKET_UNITS).contains(&(samples / unit)) {
            Ok(())
        } else {
            Err(OpusError::LossLength {
                samples,
                rate: self.rate,
            })
        }
    }
}

impl fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusDecoder")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

fn refusal(error: ::opus::Error, packet: &[u8]) -> OpusError {
    match error.code() {
        ErrorCode::InvalidPacket | ErrorCode::BadArg | ErrorCode::BufferTooSmall => {
            OpusError::Packet(packet.len())
        }
        _ => codec_error(error),
    }
}
