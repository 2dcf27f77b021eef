//! PCM to Opus over RTP: frames of 20 ms, encoded and paced. Packets that are Opus already are sent as they
//! are, in their place among the frames, with timestamps of this stream.
//!
//! The input comes in chunks of any length, from a microphone or as a whole file at once. It is sent in
//! packets of 20 ms, one every 20 ms. The sender has to detect two things:
//!
//! - *Pauses.* Without input nothing is sent. An incomplete frame waits for more input for `hangover`,
//!   then it is padded with silence. The packet after a pause has the marker bit and a timestamp that
//!   includes the pause (RFC 3550 section 5.1, RFC 7587 section 4.1).
//! - *Clock drift.* If a microphone's clock is faster than ours, or if input was delayed once and then
//!   arrived in one piece, the surplus would stay in the queue and delay all later sound. The sender
//!   therefore tracks the shortest queue that any chunk of the last two seconds found on arrival. While
//!   it is longer than `SLACK`, packets are sent every 19 ms. A queue longer than `LIVE` comes from a
//!   source that is faster than real time, such as a file, and is sent every 20 ms.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use super::minimum::RecentMinimum;
use crate::audio::mixed_queue::{MixedQueue, Queued};
use crate::audio::opus::packet::{self, CLOCK_RATE};
use crate::audio::opus::{EncoderSettings, OpusEncoder, OpusError};
use crate::audio::passthrough::{self, Bitrate, Passed};

/// The duration of a frame, and of the packet that carries it.
pub const FRAME: Duration = Duration::from_millis(20);

/// A frame in ticks of the RTP clock.
const FRAME_TICKS: u32 = CLOCK_RATE / 50;

/// The share of its duration after which the next frame follows while the queue is being shortened: a
/// receiver compensates that as it does a fast clock.
const HASTY: f64 = 0.95;

/// The same of frames that came late.
const CATCH_UP: f64 = 0.5;

/// The queue that is tolerated without shortening it.
const SLACK: Duration = Duration::from_millis(2);

/// The longest queue of live sound.
const LIVE: Duration = Duration::from_millis(500);

/// The options of a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderOptions {
    pub encoder: EncoderSettings,
    /// The longest queue; beyond it, the oldest sound is dropped. Default: one minute.
    pub max_queue: Duration,
    /// How long an incomplete frame waits for more input. Default: 200 ms. It should be longer than a
    /// chunk of the input.
    pub hangover: Duration,
    /// The timestamp of the first packet; RFC 3550 asks for a random one.
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

/// Why a sender cannot be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SenderError {
    /// The queue is shorter than a frame.
    #[error("max_queue is {0:?}: it must hold a frame, 20 ms")]
    Queue(Duration),
    #[error(transparent)]
    Opus(#[from] OpusError),
}

/// An RTP packet without its sequence number: 20 ms, where it is not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusPacket {
    /// In ticks of 1/48,000 s.
    pub timestamp: u32,
    /// Whether it is the first packet after a pause.
    pub marker: bool,
    pub payload: Bytes,
}

/// The counters of a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderStats {
    /// Packets returned by [`OpusSender::poll`].
    pub packets: u64,
    /// Those of them that were passed on as they came.
    pub passed: u64,
    /// Frames that were not sent because they are silence.
    pub silent: u64,
    /// Samples that were dropped because the queue was full.
    pub dropped: u64,
}

/// Turns one stream of PCM into packets, each at its deadline.
#[derive(Debug)]
pub struct OpusSender {
    encoder: OpusEncoder,
    options: SenderOptions,
    queue: MixedQueue<i16>,
    /// The most samples in `queue`.
    room: usize,
    /// When the next frame may be sent; `None` before the first.
    slot: Option<Duration>,
    last_push: Duration,
    /// The shortest queue that recent chunks found on arrival, in microseconds.
    waits: RecentMinimum,
    timestamp: u32,
    marker: bool,
    /// The last frame was silence, of which the receiver has been told.
    silent: bool,
    /// Samples of which one frame is sent every 10 ms, because there were late ones before them.
    late: usize,
    /// The bitrate of packets that are passed on, while the last one was.
    passing: Option<Bitrate>,
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
            queue: MixedQueue::default(),
            room: usize::try_from(room).unwrap_or(usize::MAX),
            slot: None,
            last_push: Duration::ZERO,
            waits: RecentMinimum::default(),
            timestamp: options.first_timestamp,
            marker: true,
            silent: false,
            late: 0,
            passing: None,
            frame: Vec::new(),
            packet: Vec::new(),
            stats: SenderStats::default(),
        })
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.encoder.rate()
    }

    /// Encodes with these settings from the next frame on.
    pub fn adapt(&mut self, settings: EncoderSettings) -> Result<(), OpusError> {
        self.options.encoder = settings;
        self.encoder.adapt(settings)
    }

    /// The bitrate of what is sent, in bits per second: the encoder's, or that of packets that are passed on.
    pub fn bitrate(&mut self) -> u32 {
        match self.passing {
            Some(passed) => passed.get(),
            None => self.encoder.bitrate(),
        }
    }

    /// Queues samples. Returns how many samples, the oldest ones, were dropped because the queue was full.
    pub fn push(&mut self, samples: &[i16], now: Duration) -> usize {
        if samples.is_empty() {
            return 0;
        }
        self.expect(now);
        self.queue.push(samples);
        self.drop_oldest()
    }

    /// Queues a packet that is sent as it is. Returns as [`push`](Self::push) does.
    pub fn pass(&mut self, packet: Passed, now: Duration) -> usize {
        self.expect(now);
        self.queue.push_packet(packet);
        self.drop_oldest()
    }

    /// Something is queued now.
    fn expect(&mut self, now: Duration) {
        self.resume(now);
        let slot = self.slot.unwrap_or(now);
        let wait = slot.saturating_sub(now) + self.queued();
        self.waits.observe(wait.as_micros() as i64, now);
        self.last_push = now;
    }

    fn drop_oldest(&mut self) -> usize {
        let mut dropped = 0;
        loop {
            let excess = self.queued_samples().saturating_sub(self.room);
            if excess == 0 {
                break;
            }
            dropped += match self.queue.take_packet() {
                Some(packet) => packet.samples(self.rate()),
                None => self.queue.discard(excess),
            };
        }
        self.stats.dropped += dropped as u64;
        dropped
    }

    /// Pads the last frame with silence, so that it need not wait for more input.
    pub fn flush(&mut self) {
        self.queue.fill(self.frame_samples(), 0);
    }

    /// Drops the queue.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.waits.clear();
        self.late = 0;
    }

    /// Sends sound twice as fast as it is spoken until that many more samples are made up for, or nothing is
    /// queued: they came late, and the sound after them is not to.
    pub fn catch_up(&mut self, samples: usize) {
        // While they are sent, as many come.
        self.late = self.late.saturating_add(samples.saturating_mul(2));
    }

    /// Gives up the queue, because nothing more is sent here.
    pub fn take_queue(&mut self) -> Vec<Queued<i16>> {
        self.queue.take_all()
    }

    /// Returns the next packet if it is due. Several may be due: call this until it returns `None`. A
    /// frame that the codec cannot encode is dropped.
    pub fn poll(&mut self, now: Duration) -> Result<Option<OpusPacket>, OpusError> {
        while let Some(deadline) = self.next_deadline() {
            if now < deadline {
                break;
            }
            let packet = match self.queue.take_packet() {
                Some(passed) => self.send_passed(passed, now),
                None => self.send_frame(now)?,
            };
            if packet.is_some() {
                self.stats.packets += 1;
                return Ok(packet);
            }
        }
        Ok(None)
    }

    /// When the next frame is due, unless more input arrives before. It may be in the past.
    pub fn next_deadline(&self) -> Option<Duration> {
        let slot = self.slot?;
        if self.queue.is_empty() {
            None
        } else if self.queue.has_packets() || self.queue.samples() >= self.frame_samples() {
            // Samples before a packet wait for no others.
            Some(slot)
        } else {
            Some(slot.max(self.last_push + self.options.hangover))
        }
    }

    /// The duration of the queue.
    pub fn queued(&self) -> Duration {
        duration(self.queued_samples(), self.rate())
    }

    fn queued_samples(&self) -> usize {
        self.queue.samples() + passthrough::samples(self.queue.ticks(), self.rate())
    }

    pub fn stats(&self) -> SenderStats {
        self.stats
    }

    fn frame_samples(&self) -> usize {
        self.rate() as usize / 50
    }

    /// Starts a new run of packets after a pause.
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
        if self.passing.take().is_some() {
            // The sound before was another encoder's.
            self.encoder.reset()?;
        }
        self.take_frame();
        self.advance_slot(FRAME, self.frame.len(), now);
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(FRAME_TICKS);
        self.packet.clear();
        self.encoder.encode_i16(&self.frame, &mut self.packet)?;

        // The first packet of silence tells the receiver that a pause follows.
        let silent = self.options.encoder.dtx && packet::is_silence(&self.packet);
        if std::mem::replace(&mut self.silent, silent) && silent {
            self.marker = true;
            self.stats.silent += 1;
            return Ok(None);
        }
        Ok(Some(OpusPacket {
            timestamp,
            marker: std::mem::take(&mut self.marker),
            payload: Bytes::copy_from_slice(&self.packet),
        }))
    }

    /// Sends a packet as it is. One that is lost takes its time, and the far side's decoder fills it.
    fn send_passed(&mut self, passed: Passed, now: Duration) -> Option<OpusPacket> {
        self.advance_slot(passed.duration(), passed.samples(self.rate()), now);
        self.end_of_queue();
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(passed.ticks);
        self.silent = false;
        let bitrate = self.passing.get_or_insert_default();
        let payload = passed.payload?;
        bitrate.add(payload.len(), passed.ticks);
        self.stats.passed += 1;
        Some(OpusPacket {
            timestamp,
            marker: std::mem::take(&mut self.marker),
            payload,
        })
    }

    fn take_frame(&mut self) {
        let samples = self.frame_samples();
        self.frame.clear();
        self.queue.take_into(&mut self.frame, samples);
        self.frame.resize(samples, 0);
        self.end_of_queue();
    }

    fn end_of_queue(&mut self) {
        if self.queue.is_empty() {
            self.late = 0;
            // Free the memory of a long input such as a file: a server holds thousands of queues.
            self.queue.shrink(self.rate() as usize);
        }
    }

    /// The next frame is due when one of this length, which is sent now, has been spoken.
    fn advance_slot(&mut self, length: Duration, samples: usize, now: Duration) {
        let slot = self.slot.unwrap_or(now);
        // A delay of a frame or more is not caught up: that would send a burst.
        let slot = if now > slot + FRAME { now } else { slot };
        let wait = Duration::from_micros(self.waits.get().unwrap_or_default().max(0) as u64);
        let hasty = wait > SLACK && wait < LIVE;
        let next = match std::mem::take(&mut self.late) {
            0 if hasty => length.mul_f64(HASTY),
            0 => length,
            late => {
                self.late = late.saturating_sub(samples);
                length.mul_f64(CATCH_UP)
            }
        };
        self.slot = Some(slot + next);
    }
}

fn duration(samples: usize, rate: u32) -> Duration {
    Duration::from_micros(samples as u64 * 1_000_000 / u64::from(rate))
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::opus::OpusDecoder;

    const RATE: u32 = 24_000;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn sender(options: SenderOptions) -> OpusSender {
        OpusSender::new(RATE, options).unwrap()
    }

    fn sound(milliseconds: usize) -> Vec<i16> {
        let samples = milliseconds * RATE as usize / 1_000;
        (0..samples).map(|n| (n % 100 * 100) as i16).collect()
    }

    /// All packets that are sent in an interval, with their times.
    fn send(sender: &mut OpusSender, time: Range<Duration>) -> Vec<(Duration, OpusPacket)> {
        let mut sent = Vec::new();
        while let Some(due) = sender.next_deadline().filter(|due| *due < time.end) {
            let now = due.max(time.start);
            let packet = sender.poll(now).unwrap();
            sent.extend(packet.map(|packet| (now, packet)));
        }
        sent
    }

    /// Pushes a chunk of `chunk` ms at each of `times`; returns when packets were sent.
    fn live(
        sender: &mut OpusSender,
        chunk: usize,
        times: impl Iterator<Item = Duration>,
    ) -> Vec<Duration> {
        let (mut left, mut then) = (Vec::new(), Duration::ZERO);
        for now in times {
            left.extend(send(sender, then..now).into_iter().map(|(at, _)| at));
            sender.push(&sound(chunk), now);
            then = now;
        }
        left.extend(
            send(sender, then..Duration::MAX)
                .into_iter()
                .map(|(at, _)| at),
        );
        left
    }

    #[test]
    fn a_file_is_sent_in_real_time() {
        let mut sender = sender(SenderOptions::default());
        assert_eq!(sender.push(&sound(2_000), ms(5)), 0);
        let sent = send(&mut sender, ms(5)..ms(5_000));
        assert_eq!(sent.len(), 100);
        for (n, (at, packet)) in (0..).zip(&sent) {
            assert_eq!(*at, ms(5 + 20 * u64::from(n)));
            assert_eq!(packet.timestamp, 960 * n);
            assert_eq!(packet.marker, n == 0);
        }
        assert_eq!(sender.next_deadline(), None);
        assert_eq!(
            sender.queue.capacity(),
            0,
            "the memory of a long queue is freed"
        );
    }

    #[test]
    fn chunks_of_any_length_become_the_same_packets() {
        let whole = {
            let mut sender = sender(SenderOptions::default());
            sender.push(&sound(200), ms(0));
            send(&mut sender, ms(0)..ms(5_000))
        };
        for length in [1, 7, 480, 1_000] {
            let mut sender = sender(SenderOptions::default());
            for chunk in sound(200).chunks(length) {
                sender.push(chunk, ms(0));
            }
            assert_eq!(send(&mut sender, ms(0)..ms(5_000)), whole, "{length}");
        }
    }

    #[test]
    fn the_rest_is_filled_with_silence_after_the_hangover_or_at_once() {
        let mut sender = sender(SenderOptions::default());
        sender.push(&sound(30), ms(0));
        let sent = send(&mut sender, ms(0)..ms(5_000));
        let times: Vec<Duration> = sent.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [ms(0), ms(200)]);

        sender.push(&sound(30), ms(6_000));
        sender.flush();
        let sent = send(&mut sender, ms(6_000)..ms(9_000));
        let times: Vec<Duration> = sent.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [ms(6_000), ms(6_020)]);
        let mut out = Vec::new();
        OpusDecoder::new(RATE)
            .unwrap()
            .decode_i16(&sent[1].1.payload, &mut out)
            .unwrap();
        assert_eq!(out.len(), 480);
    }

    #[test]
    fn after_a_pause_the_marker_is_set_and_the_timestamp_counts_it() {
        let mut sender = sender(SenderOptions {
            first_timestamp: u32::MAX - 959,
            ..<_>::default()
        });
        sender.push(&sound(40), ms(0));
        let first = send(&mut sender, ms(0)..ms(1_000));
        sender.push(&sound(40), ms(1_000));
        let second = send(&mut sender, ms(1_000)..ms(2_000));
        let timestamps = |sent: &[(Duration, OpusPacket)]| {
            sent.iter()
                .map(|(_, packet)| (packet.timestamp, packet.marker))
                .collect::<Vec<_>>()
        };
        assert_eq!(timestamps(&first), [(u32::MAX - 959, true), (0, false)]);
        assert_eq!(
            timestamps(&second),
            [(49 * 960, true), (50 * 960, false)],
            "a second after the first"
        );
    }

    #[test]
    fn a_short_delay_of_the_user_is_no_pause() {
        let mut sender = sender(SenderOptions::default());
        sender.push(&sound(20), ms(0));
        send(&mut sender, ms(0)..ms(150));
        sender.push(&sound(20), ms(150));
        let (at, packet) = send(&mut sender, ms(150)..ms(1_000)).remove(0);
        assert_eq!((at, packet.timestamp, packet.marker), (ms(150), 960, false));
    }

    #[test]
    fn live_sound_is_sent_as_it_arrives() {
        let jitter = [0, 7, 3, 9, 1, 0, 5];
        for (chunk, limit) in [(20, 10), (10, 20), (50, 45), (100, 95)] {
            let mut sender = sender(SenderOptions::default());
            let times = (0..1_000 / chunk).map(|n| ms((n * chunk + jitter[n % 7]) as u64));
            let times: Vec<Duration> = times.collect();
            let left = live(&mut sender, chunk, times.iter().copied());
            // A packet can be sent when the chunk with its last sample has arrived.
            for (n, at) in left.iter().enumerate() {
                let came = times[((n + 1) * 20).div_ceil(chunk) - 1];
                assert!(*at <= came + ms(limit), "{chunk} ms, {n}: {came:?} {at:?}");
            }
        }
    }

    #[test]
    fn a_single_delay_of_the_input_is_caught_up() {
        let mut sender = sender(SenderOptions::default());
        // The input is delayed for 300 ms.
        let times = (0..500).map(|n| ms(20 * if (100..115).contains(&n) { 115 } else { n }));
        let left = live(&mut sender, 20, times);
        assert_eq!(left.len(), 500);
        assert!(left[499] <= ms(499 * 20 + 10), "{:?}", left[499]);
    }

    #[test]
    fn a_microphone_that_is_fast_builds_up_no_delay() {
        // 200 ms off at the end.
        for microseconds in [19_960, 20_040] {
            let mut sender = sender(SenderOptions::default());
            let times = (0..5_000).map(|n| Duration::from_micros(n * microseconds));
            let left = live(&mut sender, 20, times);
            assert_eq!(left.len(), 5_000);
            let came = Duration::from_micros(4_999 * microseconds);
            assert!(left[4_999] <= came + ms(5), "{came:?} {:?}", left[4_999]);
        }
    }

    #[test]
    fn a_full_queue_loses_its_oldest_sound() {
        let mut sender = sender(SenderOptions {
            max_queue: ms(100),
            ..<_>::default()
        });
        assert_eq!(sender.push(&sound(80), ms(0)), 0);
        assert_eq!(sender.push(&sound(80), ms(0)), 60 * 24);
        assert_eq!(sender.queued(), ms(100));
        assert_eq!(sender.push(&sound(300), ms(0)), 300 * 24);
        assert_eq!(sender.queued(), ms(100));
        assert_eq!(sender.stats().dropped, 360 * 24);
        sender.clear();
        assert_eq!(sender.next_deadline(), None);
        let error = OpusSender::new(
            RATE,
            SenderOptions {
                max_queue: ms(10),
                ..<_>::default()
            },
        );
        assert_eq!(error.unwrap_err(), SenderError::Queue(ms(10)));
    }

    #[test]
    fn silence_is_announced_and_then_not_sent() {
        let mut sender = sender(SenderOptions {
            encoder: EncoderSettings {
                dtx: true,
                ..<_>::default()
            },
            ..<_>::default()
        });
        let mut spoken = sound(500);
        spoken.resize(3 * RATE as usize, 0);
        spoken.extend(sound(500));
        sender.push(&spoken, ms(0));
        let sent = send(&mut sender, ms(0)..ms(10_000));
        let stats = sender.stats();
        assert_eq!(stats.packets, sent.len() as u64);
        assert_eq!(stats.packets + stats.silent, 175);
        assert!(stats.silent > 50, "{stats:?}");
        let resumed = sent.windows(2).filter(|pair| pair[1].1.marker);
        for pair in resumed {
            assert!(packet::is_silence(&pair[0].1.payload));
            assert!(pair[1].1.timestamp > pair[0].1.timestamp + 960);
        }
        let silences = sent
            .windows(2)
            .filter(|pair| pair.iter().all(|(_, it)| packet::is_silence(&it.payload)));
        assert_eq!(silences.count(), 0);
    }

    proptest! {
        #[test]
        fn packets_are_never_early_and_timestamps_count_every_frame(
            steps in prop::collection::vec((0_u64..400, 0_usize..3_000), 1..60),
        ) {
            let mut sender = sender(SenderOptions { max_queue: ms(300), ..<_>::default() });
            let (mut now, mut pushed, mut sent) = (Duration::ZERO, 0, Vec::new());
            for (elapsed, samples) in steps {
                let then = now + ms(elapsed);
                sent.extend(send(&mut sender, now..then));
                now = then;
                sender.push(&vec![1; samples], now);
                pushed += samples;
                prop_assert!(sender.queued() <= ms(300));
            }
            sent.extend(send(&mut sender, now..now + ms(10_000)));
            let stats = sender.stats();
            let accepted = pushed as u64 - stats.dropped;
            // Each pause adds less than a frame of padding.
            prop_assert!(stats.packets * 480 >= accepted);
            prop_assert_eq!(stats.packets, sent.len() as u64);
            prop_assert_eq!(sender.next_deadline(), None);
            for pair in sent.windows(2) {
                let elapsed = pair[1].0.saturating_sub(pair[0].0);
                let ticks = pair[1].1.timestamp - pair[0].1.timestamp;
                prop_assert!(ticks >= 960 && ticks % 960 == 0);
                prop_assert_eq!(ticks > 960, pair[1].1.marker);
                if pair[1].1.marker {
                    prop_assert!(ticks / 48 <= elapsed.as_millis() as u32 + 20);
                }
            }
        }
    }

    #[test]
    fn sound_that_came_late_again_is_made_up_for_as_well() {
        let mut sender = OpusSender::new(24_000, SenderOptions::default()).unwrap();
        let frame = sender.frame_samples();
        sender.push(&vec![1_000; 200 * frame], Duration::ZERO);
        sender.catch_up(20 * frame);
        let mut sent = Vec::new();
        for ms in (0..).step_by(10).take(150) {
            if ms == 100 {
                sender.catch_up(10 * frame);
            }
            if sender.poll(Duration::from_millis(ms)).unwrap().is_some() {
                sent.push(ms);
            }
        }
        let hasty = sent.windows(2).filter(|pair| pair[1] - pair[0] == 10);
        assert_eq!(hasty.count(), 2 * (20 + 10));
    }
}
