//! Sound on a media track beside the messages: the user's, and what a driver reports of the answer's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::endpoint::Endpoint;
use crate::audio::passthrough::{PacketLimits, Passed};
#[cfg(feature = "webrtc")]
use crate::audio::rtp::{jitter::JitterStats, rate::Report};

/// What a driver makes of the packets of the answer's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeMode {
    /// It decodes them.
    Samples,
    /// It passes those on as they are that a caller with these limits takes, and decodes the others.
    Packets(PacketLimits),
    /// It reports their length alone, for nobody listens.
    Length,
}

/// A piece of the answer's sound, in the order in which it is to be played.
#[derive(Debug, Clone, Copy)]
pub enum DownlinkFrame<'a> {
    Samples(&'a [i16]),
    /// What was not decoded, and its length in samples.
    Packet(&'a Passed, usize),
    /// The number of samples, which were not decoded.
    Length(usize),
}

/// An endpoint with a media track. No method may block or run users' code.
pub trait SoundEndpoint: Endpoint {
    /// The user's sound; `None` where none is sent.
    fn uplink(&self) -> Option<&Uplink>;

    fn wanted(&self) -> DecodeMode;

    /// The number of the segment that arriving packets belong to; 0 if they belong to none.
    fn segment(&self) -> u64;

    /// The next piece of the segment `segment`.
    fn on_sound(&self, segment: u64, piece: DownlinkFrame<'_>);

    /// All pieces of the segment `segment` have been passed on.
    fn on_segment_ended(&self, segment: u64);

    /// All sound before a [`Uplink::mark`] has been sent.
    fn on_mark(&self);

    /// Fewer bytes wait in the uplink than before.
    fn on_room(&self);

    /// Sound was dropped in the driver because too much waits there: the oldest, for so many pieces of new sound.
    fn on_dropped(&self, pieces: u64) {
        let _ = pieces;
    }

    /// Reports statistics: once a second, and at the end.
    fn on_stats(&self, stats: SoundStats);

    /// The driver has taken this from the uplink and not sent it, because its connection is over.
    fn on_unsent(&self, taken: Vec<UplinkFrame>) {
        drop(taken);
    }

    /// The answer's sound does not come, comes again, or is lost.
    fn on_media(&self, change: MediaChange) {
        let _ = change;
    }
}

/// What has become of sound that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaStatus {
    /// It does not come, and the connection lives.
    Stalled,
    /// It comes again.
    Resumed,
    /// The connection is over, and it had not come again.
    Lost,
}

impl MediaStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Resumed => "resumed",
            Self::Lost => "lost",
        }
    }
}

/// A change of whether sound comes that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaChange {
    pub status: MediaStatus,
    /// How long none had come.
    pub silence: Duration,
}

/// The statistics of a media track.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SoundStats {
    pub packets_sent: u64,
    pub packets_received: u64,
    /// Packets that had not arrived when they were to be played.
    pub packets_lost: u64,
    /// Lost packets that arrived later.
    pub packets_late: u64,
    /// The share of the sound that was concealed, 0 to 1. Where packets are passed on, whoever decodes them
    /// does it.
    pub concealed: f64,
    /// Sound that was lost and not filled: gaps too long to be concealed.
    pub missing: Duration,
    /// The delay that the jitter buffer aims at now.
    pub target: Duration,
    /// How long the jitter buffer held the last packet.
    pub delay: Duration,
    /// The bitrate of the user's sound, in bits per second.
    pub bitrate: u32,
    /// The share of the user's packets that the far side reported as lost last, 0 to 1.
    pub reported_loss: f64,
    /// How long a packet takes there and back, as of its last report; zero: not known.
    pub round_trip: Duration,
    /// Those of `packets_sent` that were passed on as they came from the other end of a call: nobody here
    /// has encoded them.
    pub packets_passed: u64,
}

impl SoundStats {
    /// Of a track over RTP: what was sent, what the jitter buffer did, the encoder's bitrate, and what the far
    /// side reported last.
    #[cfg(feature = "webrtc")]
    pub(crate) fn of(
        packets_sent: u64,
        packets_passed: u64,
        received: JitterStats,
        bitrate: u32,
        reported: Report,
    ) -> Self {
        Self {
            packets_sent,
            packets_received: received.received,
            packets_lost: received.lost,
            packets_late: received.late,
            concealed: received.concealed_fraction(),
            missing: received.missing(),
            target: received.target,
            delay: received.delay,
            bitrate,
            reported_loss: reported.lost,
            round_trip: reported.round_trip.unwrap_or_default(),
            packets_passed,
        }
    }

    /// All of them, in the order of the fields; durations in seconds.
    pub fn numbers(self) -> (u64, u64, u64, u64, f64, f64, f64, f64, u32, f64, f64, u64) {
        (
            self.packets_sent,
            self.packets_received,
            self.packets_lost,
            self.packets_late,
            self.concealed,
            self.missing.as_secs_f64(),
            self.target.as_secs_f64(),
            self.delay.as_secs_f64(),
            self.bitrate,
            self.reported_loss,
            self.round_trip.as_secs_f64(),
            self.packets_passed,
        )
    }
}

/// Samples per second; rates that Opus has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRates {
    pub input: u32,
    pub output: u32,
}

/// A piece of an uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UplinkFrame {
    Samples(Vec<i16>),
    /// Opus, sent as it is, and its length in samples.
    Packet(Passed, usize),
    /// The driver calls [`SoundEndpoint::on_mark`] when all before it has been sent.
    Mark,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<UplinkFrame>,
    bytes: usize,
    /// The most bytes; past this, the oldest are dropped.
    max_bytes: usize,
    cut: bool,
    /// While there is no driver: the bytes that came and were dropped since.
    gap: Option<Gap>,
    /// Bytes that are to be sent faster than they are spoken.
    late: usize,
    /// Which packets its driver takes.
    limits: Option<PacketLimits>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Gap {
    came: usize,
    dropped: usize,
}

/// The queue of the user's sound between its sources, on any thread, and the driver. Bytes are those of PCM,
/// of packets as well: as many as their sound has.
#[derive(Debug)]
pub struct Uplink {
    waiting: Mutex<Waiting>,
    ready: Notify,
    max_bytes: usize,
    /// The bytes of PCM that the driver has taken and not sent yet.
    held: AtomicUsize,
}

impl Uplink {
    /// Holds no more than `max_bytes` of sound; the oldest is dropped.
    pub fn new(max_bytes: usize) -> Self {
        let waiting = Waiting {
            max_bytes,
            ..Waiting::default()
        };
        Self {
            waiting: Mutex::new(waiting),
            ready: Notify::new(),
            max_bytes,
            held: AtomicUsize::new(0),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds samples or a packet. Returns how many of the oldest bytes were dropped for it. The driver is to be
    /// [woken](Self::wake_driver) then.
    pub fn push(&self, piece: UplinkFrame) -> usize {
        let mut waiting = self.waiting();
        waiting.bytes += size(&piece);
        if let Some(gap) = &mut waiting.gap {
            gap.came += size(&piece);
        }
        waiting.pieces.push_back(piece);
        let mut dropped = 0;
        while waiting.bytes > waiting.max_bytes {
            let oldest = waiting.pieces.iter().position(|piece| size(piece) > 0);
            let Some(piece) = oldest.and_then(|at| waiting.pieces.remove(at)) else {
                break;
            };
            waiting.bytes -= size(&piece);
            dropped += size(&piece);
        }
        if let Some(gap) = &mut waiting.gap {
            gap.dropped += dropped;
        }
        dropped
    }

    /// Tells the driver of what was added or dropped. Locks that it may want are to be released before: on a
    /// machine that is busy it runs at once, in place of this thread.
    pub fn wake_driver(&self) {
        self.ready.notify_one();
    }

    /// The driver gives back what it has taken and not sent, because its connection is over.
    pub fn give_back(&self, mut taken: Vec<UplinkFrame>) {
        let mut waiting = self.waiting();
        if waiting.cut {
            // It is older than the cut, of which the driver has not heard.
            taken.retain(|piece| *piece == UplinkFrame::Mark);
        }
        for piece in taken.into_iter().rev() {
            waiting.bytes += size(&piece);
            waiting.pieces.push_front(piece);
        }
        self.held.store(0, Ordering::Release);
    }

    /// There is no driver, and another one follows: no more than `most` bytes are added to what waits.
    pub fn suspend(&self, most: usize) {
        let mut waiting = self.waiting();
        let before = waiting.bytes + self.held.load(Ordering::Acquire);
        waiting.max_bytes = self.max_bytes.min(before + most);
        waiting.gap.get_or_insert_default();
    }

    /// Another driver takes what waits. Returns the bytes that were dropped meanwhile.
    pub fn resume(&self) -> usize {
        let mut waiting = self.waiting();
        waiting.max_bytes = self.max_bytes;
        let gap = waiting.gap.take().unwrap_or_default();
        waiting.late = (waiting.late + gap.came).min(waiting.bytes);
        gap.dropped
    }

    /// So many bytes of what was pushed last came late: they are to be sent faster than they are spoken.
    pub fn hurry(&self, bytes: usize) {
        self.waiting().late += bytes;
    }

    /// The bytes that waited for a driver while there was none, once: they are to be sent faster than they
    /// are spoken, or all later sound would be as late.
    pub fn take_late(&self) -> usize {
        std::mem::take(&mut self.waiting().late)
    }

    /// The driver takes packets within these limits; `None`: samples alone.
    pub fn take_packets(&self, limits: Option<PacketLimits>) {
        self.waiting().limits = limits;
    }

    /// Which packets may be pushed; `None`: samples alone.
    pub fn packet_limits(&self) -> Option<PacketLimits> {
        self.waiting().limits
    }

    /// Adds a mark behind all that was added before, as [`push`](Self::push) does.
    pub fn mark(&self) {
        self.push(UplinkFrame::Mark);
    }

    /// Drops the sound that waits, in the driver too, which is to be woken; marks stay.
    pub fn clear(&self) {
        let mut waiting = self.waiting();
        waiting.pieces.retain(|piece| *piece == UplinkFrame::Mark);
        (waiting.bytes, waiting.late) = (0, 0);
        waiting.cut = true;
    }

    /// The bytes that wait to be sent.
    pub fn bytes(&self) -> usize {
        self.waiting().bytes + self.held.load(Ordering::Acquire)
    }

    /// Is notified (one permit) by [`wake_driver`](Self::wake_driver).
    pub fn ready(&self) -> &Notify {
        &self.ready
    }

    /// Whether the driver is to drop the sound that it holds, since the last call.
    pub fn take_flush(&self) -> bool {
        std::mem::take(&mut self.waiting().cut)
    }

    /// The next piece.
    pub fn take(&self) -> Option<UplinkFrame> {
        let mut waiting = self.waiting();
        let piece = waiting.pieces.pop_front()?;
        waiting.bytes -= size(&piece);
        Some(piece)
    }

    /// The driver reports the bytes of PCM that it holds.
    pub fn set_held(&self, bytes: usize) {
        self.held.store(bytes, Ordering::Release);
    }
}

fn size(piece: &UplinkFrame) -> usize {
    match piece {
        UplinkFrame::Samples(samples) => samples.len() * 2,
        UplinkFrame::Packet(_, samples) => samples * 2,
        UplinkFrame::Mark => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_sound_goes_and_marks_stay() {
        let uplink = Uplink::new(8);
        assert_eq!(uplink.push(UplinkFrame::Samples(vec![1, 2])), 0);
        uplink.mark();
        assert_eq!(uplink.push(UplinkFrame::Samples(vec![3, 4])), 0);
        assert_eq!(uplink.bytes(), 8);
        let packet = || UplinkFrame::Packet(Passed::SILENCE, 1);
        assert_eq!(uplink.push(packet()), 4);
        assert_eq!(uplink.take(), Some(UplinkFrame::Mark));
        assert_eq!(uplink.take(), Some(UplinkFrame::Samples(vec![3, 4])));
        assert_eq!(uplink.bytes(), 2);
        uplink.set_held(4);
        assert_eq!(uplink.bytes(), 6);
        uplink.mark();
        uplink.clear();
        assert!(uplink.take_flush() && !uplink.take_flush());
        assert_eq!(uplink.take(), Some(UplinkFrame::Mark));
        assert_eq!(uplink.take(), None);
    }

    #[test]
    fn what_a_driver_gives_back_comes_before_the_sound_of_the_gap_which_is_bounded() {
        let uplink = Uplink::new(100);
        uplink.push(UplinkFrame::Samples(vec![1, 2]));
        assert_eq!(uplink.take(), Some(UplinkFrame::Samples(vec![1, 2])));
        uplink.push(UplinkFrame::Samples(vec![3]));
        uplink.give_back(vec![UplinkFrame::Samples(vec![2]), UplinkFrame::Mark]);
        assert_eq!(uplink.bytes(), 4);
        uplink.suspend(4);
        assert_eq!(uplink.push(UplinkFrame::Samples(vec![4, 5])), 0);
        assert_eq!(uplink.push(UplinkFrame::Samples(vec![6])), 2);
        assert_eq!(uplink.resume(), 2);
        assert_eq!((uplink.take_late(), uplink.take_late()), (6, 0));
        for piece in [
            UplinkFrame::Mark,
            UplinkFrame::Samples(vec![3]),
            UplinkFrame::Samples(vec![4, 5]),
            UplinkFrame::Samples(vec![6]),
        ] {
            assert_eq!(uplink.take(), Some(piece));
        }
        assert_eq!(uplink.push(UplinkFrame::Samples(vec![7; 50])), 0);
    }

    #[test]
    fn what_was_dropped_while_the_driver_did_not_look_is_not_given_back() {
        let uplink = Uplink::new(100);
        uplink.push(UplinkFrame::Samples(vec![1, 2]));
        uplink.clear();
        uplink.push(UplinkFrame::Samples(vec![5]));
        let held = UplinkFrame::Samples(vec![3, 4]);
        uplink.give_back(vec![held.clone(), UplinkFrame::Mark]);
        assert_eq!(uplink.bytes(), 2);
        assert_eq!(uplink.take(), Some(UplinkFrame::Mark));
        assert!(uplink.take_flush());
        uplink.give_back(vec![held.clone()]);
        assert_eq!(uplink.take(), Some(held));
    }

    #[test]
    fn sound_that_came_late_twice_is_late_by_both_and_by_no_more_than_waits() {
        let uplink = Uplink::new(1_000);
        uplink.push(UplinkFrame::Samples(vec![7; 50]));
        uplink.hurry(20);
        uplink.suspend(500);
        uplink.push(UplinkFrame::Samples(vec![7; 20]));
        uplink.resume();
        uplink.hurry(10);
        assert_eq!(uplink.take_late(), 20 + 40 + 10);
        uplink.suspend(500);
        uplink.push(UplinkFrame::Samples(vec![7; 100]));
        uplink.hurry(1_000);
        uplink.resume();
        assert_eq!(uplink.take_late(), uplink.bytes());
    }
}
