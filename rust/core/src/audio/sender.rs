//! PCM to Opus over RTP: frames of 20 ms, encoded and paced.
//!
//! A user may give sound in chunks of any length, as a microphone brings it or a whole file at once. It
//! leaves in packets of 20 ms, one every 20 ms. Two things are not known and are found out as it goes:
//!
//! - *When a user is silent.* Who gives nothing sends nothing. A last frame that is not full waits for the
//!   rest of it as long as `hangover`, then it is filled with silence. The packet after a pause has the
//!   marker bit and a timestamp that counts the pause (RFC 3550 section 5.1, RFC 7587 section 4.1).
//! - *How fast a user's clock is.* What a microphone's clock is faster than ours, or what was held up
//!   once and came in one piece, would wait in the queue ever after and be heard later. So the least wait that
//!   a chunk of the last two seconds met on its coming is watched: while it is above `SLACK`, packets
//!   leave every 19 ms until it is not. A queue longer than `LIVE` is of a user who gives more than is
//!   spoken meanwhile, a file's, and is sent at its own pace.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use super::minimum::RecentMinimum;
use super::opus::packet::{self, CLOCK_RATE};
use super::opus::{EncoderSettings, OpusEncoder, OpusError};

/// The duration of a frame, and of the packet that carries it.
pub const FRAME: Duration = Duration::from_millis(20);

/// A frame in ticks of the RTP clock.
const FRAME_TICKS: u32 = CLOCK_RATE / 50;

/// By so much a frame is sent earlier than its time to shorten a queue that does not empty: one part in
/// twenty, which a receiver evens out as it does a clock that is too fast.
const HASTE: Duration = Duration::from_millis(1);

/// So long sound may wait without anything being done about it.
const SLACK: Duration = Duration::from_millis(2);

/// The longest wait that live sound can meet.
const LIVE: Duration = Duration::from_millis(500);

/// How sound is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderOptions {
    pub encoder: EncoderSettings,
    /// How much sound waits at most, the oldest being dropped; a minute unless told otherwise.
    pub max_queue: Duration,
    /// How long a frame that is not full waits for the rest of it; 200 ms unless told otherwise. It should
    /// be longer than the user's chunks are.
    pub hangover: Duration,
    /// The timestamp of the first packet; RFC 3550 wants it to be random.
    pub first_timestamp: u32,
}

impl Default for SenderOptions {
    fn default() -> Self {
        Self {
            encoder: EncoderSettings::default(),
            max_queue: Duration::from_secs(60),
            hangover: Duration::from_millis(200),
            first_timestamp: 0,
        }
    }
}

/// Why there is no such sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SenderError {
    /// A queue that no frame fits into.
    #[error("max_queue is {0:?}: it must hold a frame, 20 ms")]
    Queue(Duration),
    #[error(transparent)]
    Opus(#[from] OpusError),
}

/// What an RTP packet needs but its sequence number. It is 20 ms long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusPacket {
    /// In ticks of 1/48,000 s.
    pub timestamp: u32,
    /// Sound begins here, after none.
    pub marker: bool,
    pub payload: Bytes,
}

/// What a sender has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderStats {
    /// Packets given out.
    pub packets: u64,
    /// Frames that were not sent because they are silence.
    pub silent: u64,
    /// Samples that were dropped because the queue was full.
    pub dropped: u64,
}

/// Turns the sound of one stream into packets, each at its time.
#[derive(Debug)]
pub struct OpusSender {
    encoder: OpusEncoder,
    options: SenderOptions,
    queue: VecDeque<i16>,
    /// How many samples `queue` may hold.
    room: usize,
    /// When the next frame may leave; `None` before the first.
    slot: Option<Duration>,
    pushed: Duration,
    /// How long the chunks of late would have waited at least, in microseconds.
    waits: RecentMinimum,
    timestamp: u32,
    marker: bool,
    /// The last frame was silence, and the receiver knows.
    silent: bool,
    frame: Vec<i16>,
    packet: Vec<u8>,
    stats: SenderStats,
}

impl OpusSender {
    /// A sender of PCM at one of the rates of Opus.
    pub fn new(rate: u32, options: SenderOptions) -> Result<Self, SenderError> {
        if options.max_queue < FRAME {
            return Err(SenderError::Queue(options.max_queue));
        }
        let encoder = OpusEncoder::new(rate, options.encoder)?;
        let room = options.max_queue.as_micros() * u128::from(rate) / 1_000_000;
        Ok(Self {
            encoder,
            options,
            queue: VecDeque::new(),
            room: usize::try_from(room).unwrap_or(usize::MAX),
            slot: None,
            pushed: Duration::ZERO,
            waits: RecentMinimum::default(),
            timestamp: options.first_timestamp,
            marker: true,
            silent: false,
            frame: Vec::new(),
            packet: Vec::new(),
            stats: SenderStats::default(),
        })
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.encoder.rate()
    }

    /// Takes the next samples. Returns how many were dropped, the oldest, because there is no more room.
    pub fn push(&mut self, samples: &[i16], now: Duration) -> usize {
        if samples.is_empty() {
            return 0;
        }
        self.resume(now);
        let slot = self.slot.unwrap_or(now);
        let wait = slot.saturating_sub(now) + self.queued();
        self.waits.observe(wait.as_micros() as i64, now);
        self.pushed = now;

        let dropped = (self.queue.len() + samples.len()).saturating_sub(self.room);
        let old = dropped.min(self.queue.len());
        self.queue.drain(..old);
        self.queue.extend(&samples[dropped - old..]);
        self.stats.dropped += dropped as u64;
        dropped
    }

    /// Completes the last frame with silence, so that it need not wait for more.
    pub fn flush(&mut self) {
        let whole = self.queue.len().next_multiple_of(self.frame_samples());
        self.queue.resize(whole, 0);
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.queue = VecDeque::new();
        self.waits.clear();
    }

    /// The next packet if its time has come. There may be several: ask until there is none. A frame that the
    /// codec fails on is dropped.
    pub fn poll(&mut self, now: Duration) -> Result<Option<OpusPacket>, OpusError> {
        while let Some(deadline) = self.next_deadline() {
            if now < deadline {
                break;
            }
            if let Some(packet) = self.send_frame(now)? {
                self.stats.packets += 1;
                return Ok(Some(packet));
            }
            self.stats.silent += 1;
        }
        Ok(None)
    }

    /// When the next frame is to leave, unless more sound comes before. It may be past.
    pub fn next_deadline(&self) -> Option<Duration> {
        let slot = self.slot?;
        if self.queue.len() >= self.frame_samples() {
            Some(slot)
        } else if self.queue.is_empty() {
            None
        } else {
            Some(slot.max(self.pushed + self.options.hangover))
        }
    }

    /// How much sound waits.
    pub fn queued(&self) -> Duration {
        duration(self.queue.len(), self.rate())
    }

    pub fn stats(&self) -> SenderStats {
        self.stats
    }

    fn frame_samples(&self) -> usize {
        self.rate() as usize / 50
    }

    /// Begins anew after a pause.
    fn resume(&mut self, now: Duration) {
        if !self.queue.is_empty() {
            return;
        }
        let Some(slot) = self.slot else {
            self.slot = Some(now);
            return;
        };
        let pause = now.saturating_sub(slot);
        if pause > self.options.hangover {
            let frames = (pause.as_micros() / FRAME.as_micros()) as u32;
            self.timestamp = self
                .timestamp
                .wrapping_add(frames.wrapping_mul(FRAME_TICKS));
            self.slot = Some(now);
            self.marker = true;
            self.waits.clear();
        }
    }

    fn send_frame(&mut self, now: Duration) -> Result<Option<OpusPacket>, OpusError> {
        self.take_frame();
        self.advance_slot(now);
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(FRAME_TICKS);
        self.packet.clear();
        self.encoder.encode_i16(&self.frame, &mut self.packet)?;

        // The first packet of silence tells the receiver that packets will fail to come.
        let silent = self.options.encoder.dtx && packet::is_silence(&self.packet);
        if std::mem::replace(&mut self.silent, silent) && silent {
            self.marker = true;
            return Ok(None);
        }
        Ok(Some(OpusPacket {
            timestamp,
            marker: std::mem::take(&mut self.marker),
            payload: Bytes::copy_from_slice(&self.packet),
        }))
    }

    fn take_frame(&mut self) {
        let samples = self.frame_samples();
        let there = samples.min(self.queue.len());
        self.frame.clear();
        self.frame.extend(self.queue.drain(..there));
        self.frame.resize(samples, 0);
        if self.queue.is_empty() && self.queue.capacity() > self.rate() as usize {
            // A file went through it; a call holds thousands of queues.
            self.queue = VecDeque::new();
        }
    }

    fn advance_slot(&mut self, now: Duration) {
        let slot = self.slot.unwrap_or(now);
        // Who is late by a frame or more does not catch up: that would be a burst.
        let slot = if now > slot + FRAME { now } else { slot };
        let wait = Duration::from_micros(self.waits.get().unwrap_or_default().max(0) as u64);
        let haste = if wait > SLACK && wait < LIVE {
            HASTE
        } else {
            Duration::ZERO
        };
        self.slot = Some(slot + FRAME - haste);
    }
}

fn duration(samples: usize, rate: u32) -> Duration {
    Duration::from_micros(samples as u64 * 1_000_000 / u64::from(rate))
}
