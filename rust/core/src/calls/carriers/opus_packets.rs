//! Sound of a leg in packets of Opus, both ways.

use std::time::Duration;

use crate::transport::Outgoing;

/// The length of a packet that is sent.
pub(super) const LENGTH: Duration = Duration::from_millis(20);

#[cfg(feature = "opus")]
pub(super) use with_opus::OpusPackets;
#[cfg(not(feature = "opus"))]
pub(super) use without::OpusPackets;

#[cfg(feature = "opus")]
mod with_opus {
    use super::Outgoing;
    use crate::audio::opus::{EncoderSettings, OpusDecoder, OpusEncoder, OpusError};

    /// An encoder and a decoder, between PCM of 16 bits and packets.
    #[derive(Debug)]
    pub(in super::super) struct OpusPackets {
        decoder: OpusDecoder,
        encoder: OpusEncoder,
        samples: Vec<i16>,
    }

    impl OpusPackets {
        /// The error says which rates there are.
        pub fn new(rate: u32) -> Result<Self, String> {
            let said = |error: OpusError| error.to_string();
            Ok(Self {
                decoder: OpusDecoder::new(rate).map_err(said)?,
                encoder: OpusEncoder::new(rate, EncoderSettings::default()).map_err(said)?,
                samples: Vec::new(),
            })
        }

        /// The sound of a packet; `None`: it is none.
        pub fn decode(&mut self, packet: &[u8]) -> Option<&[u8]> {
            self.samples.clear();
            self.decoder.decode_i16(packet, &mut self.samples).ok()?;
            Some(bytemuck::cast_slice(&self.samples))
        }

        /// Appends packets with this sound, the last one filled up with silence. Returns how many samples
        /// they have.
        pub fn encode(&mut self, sound: &[u8], out: &mut Vec<Outgoing>) -> u64 {
            let frame = self.decoder.rate() as usize / 50;
            self.samples.clear();
            let samples = sound.as_chunks::<2>().0.iter();
            self.samples
                .extend(samples.map(|it| i16::from_le_bytes(*it)));
            let length = self.samples.len().next_multiple_of(frame);
            self.samples.resize(length, 0);
            for frame in self.samples.chunks_exact(frame) {
                let mut packet = Vec::new();
                // Its frames are of a length that Opus has: it does not fail.
                if self.encoder.encode_i16(frame, &mut packet).is_ok() {
                    out.push(Outgoing::Binary(packet));
                }
            }
            length as u64
        }
    }
}

#[cfg(not(feature = "opus"))]
mod without {
    use super::Outgoing;

    /// There is no Opus in this build.
    #[derive(Debug)]
    pub(in super::super) enum OpusPackets {}

    impl OpusPackets {
        pub fn new(_: u32) -> Result<Self, String> {
            Err("this build has no Opus: use pcm".to_owned())
        }

        pub fn decode(&mut self, _: &[u8]) -> Option<&[u8]> {
            match *self {}
        }

        pub fn encode(&mut self, _: &[u8], _: &mut Vec<Outgoing>) -> u64 {
            match *self {}
        }
    }
}
