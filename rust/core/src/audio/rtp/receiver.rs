//! Opus over RTP to PCM: a jitter buffer and a decoder. Where somebody takes the packets as they are, they
//! are put in order alone.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use super::jitter::{
    Content, Insertion, JitterBuffer, JitterError, JitterOptions, JitterStats, Playout, RtpPacket,
};
use crate::audio::opus::packet::CLOCK_RATE;
use crate::audio::opus::{OpusDecoder, OpusError};
use crate::audio::passthrough::{PacketLimits, Passed, Passing};

/// Why a receiver cannot be created or has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReceiverError {
    #[error(transparent)]
    Jitter(#[from] JitterError),
    #[error(transparent)]
    Opus(#[from] OpusError),
}

/// How the sound of a frame was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameSource {
    /// Decoded from a packet that was received.
    Received,
    /// Decoded from the copy of a lost packet in the next one.
    Recovered,
    /// Concealed by the decoder: the packet was lost or is not valid Opus.
    Concealed,
    /// Comfort noise in a pause.
    Silence,
}

/// A frame of sound that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutFrame {
    /// When its first sample was recorded, by the sender's clock, in ticks of 1/48,000 s.
    pub timestamp: u32,
    /// Its length at the receiver's rate.
    pub samples: usize,
    pub source: FrameSource,
    /// When its packet arrived; `None` without a packet.
    pub arrived: Option<Duration>,
}

/// Turns one stream of RTP packets into PCM. [`jitter`](super::jitter) explains when each is due.
#[derive(Debug)]
pub struct OpusReceiver {
    buffer: JitterBuffer,
    decoder: OpusDecoder,
    passing: Passing,
    /// The decoder has skipped packets: it must not continue from the last one that it decoded.
    needs_reset: bool,
    /// The last packet that it skipped. It is decoded before the next one, which builds upon it.
    skipped: Option<Bytes>,
    /// How many frames it has decoded.
    decoded: u64,
    /// The number of restarts of the stream at the last reset of the decoder.
    restarts: u64,
}

impl OpusReceiver {
    /// A receiver of PCM at one of the rates of Opus.
    pub fn new(rate: u32, options: JitterOptions) -> Result<Self, ReceiverError> {
        Ok(Self {
            buffer: JitterBuffer::new(options)?,
            decoder: OpusDecoder::new(rate)?,
            passing: Passing::default(),
            needs_reset: false,
            skipped: None,
            decoded: 0,
            restarts: 0,
        })
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.decoder.rate()
    }

    /// How much sound may come faster than in real time from now on, in place of what the options say.
    pub fn allow_ahead(&mut self, max_ahead: Duration) {
        self.buffer.allow_ahead(max_ahead);
    }

    /// Inserts a packet that arrived at `now`.
    pub fn insert(&mut self, packet: RtpPacket, now: Duration) -> Insertion {
        self.buffer.insert(packet, now)
    }

    /// Appends the next frame to `out` if it is due. Several may be due: call this until it returns
    /// `None`.
    pub fn poll(
        &mut self,
        now: Duration,
        out: &mut Vec<i16>,
    ) -> Result<Option<PlayoutFrame>, ReceiverError> {
        let Some(playout) = self.buffer.poll(now) else {
            return Ok(None);
        };
        self.decode(&playout, out).map(Some)
    }

    /// As [`poll`](Self::poll), but does not decode the frame.
    pub fn poll_undecoded(&mut self, now: Duration) -> Option<PlayoutFrame> {
        let playout = self.buffer.poll(now)?;
        Some(self.skip(&playout))
    }

    /// As [`poll`](Self::poll), but a frame that somebody with these limits takes as it is comes undecoded.
    pub fn poll_passing(
        &mut self,
        now: Duration,
        limits: Option<PacketLimits>,
        out: &mut Vec<i16>,
    ) -> Result<Option<(PlayoutFrame, Option<Passed>)>, ReceiverError> {
        let Some(playout) = self.buffer.poll(now) else {
            return Ok(None);
        };
        let piece = Passed {
            payload: match &playout.content {
                Content::Packet(packet) => Some(packet.clone()),
                // The next packet has the copy with it.
                Content::Recovered(_) | Content::Concealed | Content::Silence => None,
            },
            ticks: playout.ticks,
        };
        if self.passing.passes(&piece, limits) {
            return Ok(Some((self.skip(&playout), Some(piece))));
        }
        let frame = self.decode(&playout, out)?;
        Ok(Some((frame, None)))
    }

    fn skip(&mut self, playout: &Playout) -> PlayoutFrame {
        self.needs_reset = true;
        self.skipped = match &playout.content {
            Content::Packet(packet) => Some(packet.clone()),
            _ => None,
        };
        self.describe(playout)
    }

    fn decode(
        &mut self,
        playout: &Playout,
        out: &mut Vec<i16>,
    ) -> Result<PlayoutFrame, ReceiverError> {
        let restarts = self.buffer.restarts();
        let is_other = restarts != self.restarts;
        if self.needs_reset || is_other {
            self.decoder.reset()?;
            self.needs_reset = false;
            self.restarts = restarts;
            let before = self.skipped.take().filter(|_| !is_other);
            if let Some(before) = before {
                // What is no Opus leaves the decoder as it is.
                let _ = self.decoder.decode_i16(&before, &mut Vec::new());
            }
        }
        self.decoded += 1;
        let mut frame = self.describe(playout);
        let concealed = match &playout.content {
            Content::Packet(packet) => self.decoder.decode_i16(packet, out).is_err(),
            Content::Recovered(next) => self.decoder.recover_i16(frame.samples, next, out).is_err(),
            Content::Concealed | Content::Silence => {
                self.decoder.conceal_i16(frame.samples, out)?;
                false
            }
        };
        if concealed {
            self.decoder.conceal_i16(frame.samples, out)?;
            frame.source = FrameSource::Concealed;
        }
        Ok(frame)
    }

    /// How many frames were decoded, and not passed on or skipped.
    pub fn decoded(&self) -> u64 {
        self.decoded
    }

    /// When the next frame is due, unless packets arrive before. It may be in the past.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.buffer.next_deadline()
    }

    /// Drops the stream, the waiting packets and the measurements of the path. Counters remain.
    pub fn reset(&mut self) {
        self.buffer.reset();
        self.needs_reset = true;
        self.skipped = None;
    }

    pub fn stats(&self) -> JitterStats {
        self.buffer.stats()
    }

    /// How often another stream began: timestamps before that and after it have nothing to do with each other.
    pub fn restarts(&self) -> u64 {
        self.buffer.restarts()
    }

    /// How many packets were dropped for more sound than there was time for.
    pub fn too_fast(&self) -> u64 {
        self.buffer.too_fast()
    }

    fn describe(&self, playout: &Playout) -> PlayoutFrame {
        PlayoutFrame {
            timestamp: playout.timestamp,
            // Both are multiples of 2.5 ms, which is a whole number of samples at every rate of Opus.
            samples: playout.ticks as usize * self.rate() as usize / CLOCK_RATE as usize,
            source: match playout.content {
                Content::Packet(_) => FrameSource::Received,
                Content::Recovered(_) => FrameSource::Recovered,
                Content::Concealed => FrameSource::Concealed,
                Content::Silence => FrameSource::Silence,
            },
            arrived: playout.arrived,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use bytes::Bytes;

    use super::*;
    use crate::audio::opus::{EncoderSettings, OpusEncoder, RATES};

    const RATE: usize = 24_000;

    fn ms(milliseconds: usize) -> Duration {
        Duration::from_millis(milliseconds as u64)
    }

    /// A sweep, which concealment cannot guess.
    fn sweep() -> Vec<i16> {
        (0..RATE)
            .map(|n| {
                let time = n as f32 / RATE as f32;
                (10_000.0 * (TAU * (300.0 + 400.0 * time) * time).sin()) as i16
            })
            .collect()
    }

    fn packets(sound: &[i16], settings: EncoderSettings) -> Vec<RtpPacket> {
        let mut encoder = OpusEncoder::new(RATE as u32, settings).unwrap();
        (0..)
            .zip(sound.chunks_exact(RATE / 50))
            .map(|(n, frame)| {
                let mut payload = Vec::new();
                encoder.encode_i16(frame, &mut payload).unwrap();
                RtpPacket {
                    ssrc: 1,
                    sequence: n,
                    timestamp: u32::from(n) * 960,
                    payload: Bytes::from(payload),
                }
            })
            .collect()
    }

    fn redundant() -> EncoderSettings {
        EncoderSettings {
            fec: true,
            expected_loss: 30,
            bitrate: Some(32_000),
            ..<_>::default()
        }
    }

    /// Inserts packets 20 ms apart, and collects all frames.
    fn play(receiver: &mut OpusReceiver, packets: Vec<RtpPacket>) -> (Vec<i16>, Vec<FrameSource>) {
        let (mut out, mut sounds) = (Vec::new(), Vec::new());
        let mut poll = |receiver: &mut OpusReceiver, now| {
            let before = out.len();
            while let Some(frame) = receiver.poll(now, &mut out).unwrap() {
                sounds.push(frame.source);
            }
            assert!(out.len() >= before);
        };
        for packet in packets {
            let now = ms(20 * usize::from(packet.sequence));
            poll(receiver, now);
            receiver.insert(packet, now);
        }
        while let Some(deadline) = receiver.next_deadline() {
            poll(receiver, deadline);
        }
        (out, sounds)
    }

    fn receiver(rate: u32) -> OpusReceiver {
        OpusReceiver::new(rate, JitterOptions::default()).unwrap()
    }

    /// How well two sounds agree, from -1 to 1, at the best alignment within 20 ms.
    fn correlation(sent: &[i16], output: &[i16]) -> f64 {
        (0..RATE / 50)
            .map(|delay| {
                let pairs = sent.iter().zip(&output[delay..]);
                let (mut both, mut left, mut right) = (0.0, 0.0, 0.0);
                for (a, b) in pairs {
                    let (a, b) = (f64::from(*a), f64::from(*b));
                    both += a * b;
                    left += a * a;
                    right += b * b;
                }
                both / (left * right).sqrt()
            })
            .fold(-1.0, f64::max)
    }

    #[test]
    fn what_is_sent_is_received_at_every_rate() {
        let sound = sweep();
        for rate in RATES {
            let (output, sounds) = play(
                &mut receiver(rate),
                packets(&sound, EncoderSettings::default()),
            );
            assert_eq!(output.len(), rate as usize);
            assert!(sounds.iter().all(|sound| *sound == FrameSource::Received));
            if rate as usize == RATE {
                assert!(correlation(&sound, &output) > 0.95);
            }
        }
    }

    #[test]
    fn losses_are_recovered_and_the_sound_stays_whole() {
        let sound = sweep();
        let mut packets = packets(&sound, redundant());
        packets.retain(|packet| packet.sequence % 7 != 5);
        let mut receiver = receiver(RATE as u32);
        let (output, sounds) = play(&mut receiver, packets);
        assert_eq!(output.len(), RATE);
        let of = |kind| sounds.iter().filter(|sound| **sound == kind).count();
        assert_eq!(of(FrameSource::Received), 43);
        assert!(of(FrameSource::Recovered) >= 6, "{sounds:?}");
        assert!(correlation(&sound, &output) > 0.9);
        assert_eq!(receiver.stats().lost, 7);
    }

    #[test]
    fn a_packet_that_only_looks_like_opus_is_concealed() {
        let mut packets = packets(&sweep(), EncoderSettings::default());
        // Two frames of equal length cannot take an odd number of bytes.
        packets[10].payload = Bytes::from_static(&[0x09, 1, 2, 3]);
        let (output, sounds) = play(&mut receiver(RATE as u32), packets);
        assert_eq!(sounds[10], FrameSource::Concealed);
        assert_eq!(output.len(), RATE + RATE / 50, "it says that it is 40 ms");
    }

    #[test]
    fn a_pause_is_comfort_noise() {
        let mut sound = sweep();
        sound.resize(3 * RATE, 0);
        let settings = EncoderSettings {
            dtx: true,
            ..<_>::default()
        };
        let mut announced = false;
        let packets = packets(&sound, settings)
            .into_iter()
            .filter(|packet| {
                let silent = packet.payload.len() <= 2;
                !std::mem::replace(&mut announced, silent) || !silent
            })
            .zip(0..)
            .map(|(packet, sequence)| RtpPacket { sequence, ..packet });
        let mut receiver = receiver(RATE as u32);
        let (mut out, mut silent) = (Vec::new(), 0);
        let mut packets = packets.peekable();
        while let Some(now) = packets
            .peek()
            .map(|packet| ms(packet.timestamp as usize / 48))
        {
            receiver.insert(packets.next().unwrap(), now);
            let next = packets
                .peek()
                .map_or(now, |packet| ms(packet.timestamp as usize / 48));
            while let Some(deadline) = receiver.next_deadline().filter(|at| *at <= next) {
                while let Some(frame) = receiver.poll(deadline, &mut out).unwrap() {
                    silent += usize::from(frame.source == FrameSource::Silence);
                }
            }
        }
        assert!(silent > 50, "{silent}");
        assert!(receiver.stats().concealed_ticks == 0);
        assert!(out.len() > RATE * 28 / 10, "{}", out.len());
        let quiet = &out[2 * RATE..];
        assert!(quiet.iter().all(|sample| sample.abs() < 200));
    }

    #[test]
    fn packets_can_be_skipped_undecoded_and_decoding_resumes() {
        let sound = sweep();
        let mut packets = packets(&sound, EncoderSettings::default());
        let rest = packets.split_off(25);
        let mut receiver = receiver(RATE as u32);
        let mut samples = 0;
        for packet in packets {
            receiver.insert(packet, Duration::ZERO);
        }
        while let Some(frame) = receiver.poll_undecoded(ms(1_000)) {
            samples += frame.samples;
        }
        assert_eq!(samples, RATE / 2);
        let (output, _) = play(&mut receiver, rest);
        assert!(correlation(&sound[RATE / 2 + 480..], &output[480..]) > 0.9);
    }

    #[test]
    fn packets_are_passed_on_undecoded_and_decoded_at_their_place_after_that() {
        let settings = EncoderSettings {
            application: crate::audio::opus::Application::LowDelay,
            ..<_>::default()
        };
        let sent = packets(&sweep(), settings);
        let (whole, _) = play(&mut receiver(RATE as u32), sent.clone());
        let mut receiver = receiver(RATE as u32);
        for packet in &sent {
            receiver.insert(packet.clone(), Duration::ZERO);
        }
        let (mut passed, mut out) = (Vec::new(), Vec::new());
        for n in 0..sent.len() {
            let limits = (n < 25).then(PacketLimits::default);
            let due = receiver.poll_passing(ms(2_000), limits, &mut out).unwrap();
            let (frame, packet) = due.unwrap();
            assert_eq!(frame.samples, 480);
            passed.extend(packet.and_then(|it| it.payload));
        }
        let payloads = sent[..25].iter().map(|packet| packet.payload.clone());
        assert!(passed.into_iter().eq(payloads));
        assert_eq!((receiver.decoded(), out.len()), (25, RATE / 2));
        // It goes on at its place.
        assert!(correlation(&whole[RATE / 2..], &out) > 0.9);
    }

    #[test]
    fn impossible_settings_are_refused() {
        assert_eq!(
            OpusReceiver::new(44_100, JitterOptions::default()).unwrap_err(),
            ReceiverError::Opus(OpusError::Rate(44_100))
        );
        let options = JitterOptions {
            max_packets: 0,
            ..<_>::default()
        };
        assert_eq!(
            OpusReceiver::new(24_000, options).unwrap_err(),
            ReceiverError::Jitter(JitterError::NoRoom("max_packets"))
        );
    }
}
