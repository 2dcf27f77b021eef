//! Opus over RTP to PCM: a jitter buffer and a decoder.

use std::time::Duration;

use thiserror::Error;

use super::jitter::{
    Content, Insertion, JitterBuffer, JitterError, JitterOptions, JitterStats, Playout, RtpPacket,
};
use super::opus::packet::CLOCK_RATE;
use super::opus::{OpusDecoder, OpusError};

/// Why there is no such receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReceiverError {
    #[error(transparent)]
    Jitter(#[from] JitterError),
    #[error(transparent)]
    Opus(#[from] OpusError),
}

/// Where a piece of sound is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    /// A packet that came.
    Received,
    /// The copy of a lost packet in the next.
    Recovered,
    /// A guess of the decoder's at a lost packet, or at one that is no valid Opus.
    Concealed,
    /// Comfort noise in a pause.
    Silence,
}

/// A piece of sound whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When its first sample was recorded, by the sender's clock, in ticks of 1/48,000 s.
    pub timestamp: u32,
    /// How long it is at the receiver's rate.
    pub samples: usize,
    pub sound: Sound,
    /// When its packet came; `None` for what did not come.
    pub arrived: Option<Duration>,
}

/// Turns one stream of RTP packets into PCM. See [`jitter`](super::jitter) for when.
#[derive(Debug)]
pub struct OpusReceiver {
    buffer: JitterBuffer,
    decoder: OpusDecoder,
    /// The decoder has not heard what came before, and must not continue what it heard last.
    cut: bool,
    /// Streams that began, of which the decoder knows.
    restarts: u64,
}

impl OpusReceiver {
    /// A receiver of PCM at one of the rates of Opus.
    pub fn new(rate: u32, options: JitterOptions) -> Result<Self, ReceiverError> {
        Ok(Self {
            buffer: JitterBuffer::new(options)?,
            decoder: OpusDecoder::new(rate)?,
            cut: false,
            restarts: 0,
        })
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.decoder.rate()
    }

    /// Takes a packet that came at `now`.
    pub fn insert(&mut self, packet: RtpPacket, now: Duration) -> Insertion {
        self.buffer.insert(packet, now)
    }

    /// Appends the next piece of sound to `out` if its time has come. There may be several: ask until
    /// there is none.
    pub fn poll(
        &mut self,
        now: Duration,
        out: &mut Vec<i16>,
    ) -> Result<Option<Heard>, ReceiverError> {
        let Some(playout) = self.buffer.poll(now) else {
            return Ok(None);
        };
        let restarts = self.buffer.stats().restarts;
        if self.cut || restarts != self.restarts {
            self.decoder.reset()?;
            self.cut = false;
            self.restarts = restarts;
        }
        let mut heard = self.describe(&playout);
        let concealed = match &playout.content {
            Content::Packet(packet) => self.decoder.decode_i16(packet, out).is_err(),
            Content::Recovered(next) => self.decoder.recover_i16(heard.samples, next, out).is_err(),
            Content::Concealed | Content::Silence => {
                self.decoder.conceal_i16(heard.samples, out)?;
                false
            }
        };
        if concealed {
            self.decoder.conceal_i16(heard.samples, out)?;
            heard.sound = Sound::Concealed;
        }
        Ok(Some(heard))
    }

    /// [`poll`](Self::poll) where nobody listens: nothing is decoded.
    pub fn poll_unheard(&mut self, now: Duration) -> Option<Heard> {
        let playout = self.buffer.poll(now)?;
        self.cut = true;
        Some(self.describe(&playout))
    }

    /// When there is a next piece of sound, unless packets come before. It may be past.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.buffer.next_deadline()
    }

    /// Forgets the stream, what waits and what was learnt of the path. Counts remain.
    pub fn reset(&mut self) {
        self.buffer.reset();
        self.cut = true;
    }

    pub fn stats(&self) -> JitterStats {
        self.buffer.stats()
    }

    fn describe(&self, playout: &Playout) -> Heard {
        Heard {
            timestamp: playout.timestamp,
            // Both are multiples of 2.5 ms, which is a whole number of samples at every rate of Opus.
            samples: playout.ticks as usize * self.rate() as usize / CLOCK_RATE as usize,
            sound: match playout.content {
                Content::Packet(_) => Sound::Received,
                Content::Recovered(_) => Sound::Recovered,
                Content::Concealed => Sound::Concealed,
                Content::Silence => Sound::Silence,
            },
            arrived: playout.arrived,
        }
    }
}
