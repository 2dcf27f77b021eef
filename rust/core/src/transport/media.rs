//! Sound that travels beside the messages: the user's on its way out, and what a driver says of the
//! answer's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::endpoint::Endpoint;

/// What a driver does with the answer's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeMode {
    /// Decodes it.
    Samples,
    /// Passes the packets on as they are.
    Packets,
    /// Only says how much there is: nothing is decoded where nobody listens.
    Length,
}

/// A piece of the answer's sound, in the order in which it is to be played.
#[derive(Debug, Clone, Copy)]
pub enum DownlinkFrame<'a> {
    Samples(&'a [i16]),
    Packet(&'a Bytes),
    /// That many samples, which are not decoded.
    Length(usize),
}

/// An endpoint that has sound apart from its messages. None of these calls blocks or runs users'
/// code.
pub trait SoundEndpoint: Endpoint {
    /// The user's sound; `None` where none is sent.
    fn uplink(&self) -> Option<&Uplink>;

    fn wanted(&self) -> DecodeMode;

    /// The segment of sound that packets belong to which arrive now; 0 where they belong to none.
    fn segment(&self) -> u64;

    /// The next piece of the segment `segment`.
    fn on_sound(&self, segment: u64, piece: DownlinkFrame<'_>);

    /// Nothing more comes of the segment `segment`.
    fn on_segment_ended(&self, segment: u64);

    /// All sound before a [`Uplink::mark`] has been sent.
    fn on_mark(&self);

    /// What waits in the uplink has become less.
    fn on_room(&self);

    /// How the sound fares: once a second, and at the end.
    fn on_stats(&self, stats: SoundStats);
}

/// How the sound of a connection fares.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SoundStats {
    pub packets_sent: u64,
    pub packets_received: u64,
    /// Packets that were not there when it was their turn.
    pub packets_lost: u64,
    /// Those of them that came afterwards.
    pub packets_late: u64,
    /// The share of the sound that had to be guessed, 0 to 1.
    pub concealed: f64,
    /// How long sound is held back now, so that late packets find their place.
    pub target: Duration,
    /// How long the last packet was held back.
    pub delay: Duration,
}

/// Samples per second; rates that Opus has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleRates {
    pub input: u32,
    pub output: u32,
}

/// Something in an uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UplinkFrame {
    Samples(Vec<i16>),
    /// Opus, 20 ms, to be sent as it is.
    Packet(Bytes),
    /// The driver says when it comes here.
    Mark,
}

#[derive(Debug, Default)]
struct Waiting {
    pieces: VecDeque<UplinkFrame>,
    bytes: usize,
    cut: bool,
}

/// The user's sound between who makes it, which may be any thread, and the driver that sends it.
#[derive(Debug)]
pub struct Uplink {
    waiting: Mutex<Waiting>,
    ready: Notify,
    max_bytes: usize,
    /// What the driver holds besides, in bytes of PCM.
    held: AtomicUsize,
}

impl Uplink {
    /// Holds no more than `max_bytes` of sound; the oldest is dropped.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            ready: Notify::new(),
            max_bytes,
            held: AtomicUsize::new(0),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds samples or a packet. Returns how many bytes were dropped for it, of the oldest.
    pub fn push(&self, piece: UplinkFrame) -> usize {
        let mut waiting = self.waiting();
        waiting.bytes += size(&piece);
        waiting.pieces.push_back(piece);
        let mut dropped = 0;
        while waiting.bytes > self.max_bytes {
            let oldest = waiting.pieces.iter().position(|piece| size(piece) > 0);
            let Some(piece) = oldest.and_then(|at| waiting.pieces.remove(at)) else {
                break;
            };
            waiting.bytes -= size(&piece);
            dropped += size(&piece);
        }
        drop(waiting);
        self.ready.notify_one();
        dropped
    }

    /// Asks to be told when all that was added before has been sent.
    pub fn mark(&self) {
        self.push(UplinkFrame::Mark);
    }

    /// Nothing of what waits is to be sent; marks stay.
    pub fn clear(&self) {
        let mut waiting = self.waiting();
        waiting.pieces.retain(|piece| *piece == UplinkFrame::Mark);
        waiting.bytes = 0;
        waiting.cut = true;
        drop(waiting);
        self.ready.notify_one();
    }

    /// How much waits to be sent, in bytes.
    pub fn bytes(&self) -> usize {
        self.waiting().bytes + self.held.load(Ordering::Acquire)
    }

    /// Is notified (one permit) when there is something new.
    pub fn ready(&self) -> &Notify {
        &self.ready
    }

    /// Whether what the driver holds is to be thrown away.
    pub fn take_cut(&self) -> bool {
        std::mem::take(&mut self.waiting().cut)
    }

    /// The next piece.
    pub fn take(&self) -> Option<UplinkFrame> {
        let mut waiting = self.waiting();
        let piece = waiting.pieces.pop_front()?;
        waiting.bytes -= size(&piece);
        Some(piece)
    }

    /// The driver says what it holds, in bytes of PCM.
    pub fn set_held(&self, bytes: usize) {
        self.held.store(bytes, Ordering::Release);
    }
}

fn size(piece: &UplinkFrame) -> usize {
    match piece {
        UplinkFrame::Samples(samples) => samples.len() * 2,
        UplinkFrame::Packet(packet) => packet.len(),
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
        assert_eq!(
            uplink.push(UplinkFrame::Packet(Bytes::from_static(b"op"))),
            4
        );
        assert_eq!(uplink.take(), Some(UplinkFrame::Mark));
        assert_eq!(uplink.take(), Some(UplinkFrame::Samples(vec![3, 4])));
        uplink.set_held(4);
        assert_eq!(uplink.bytes(), 6);
        uplink.mark();
        uplink.clear();
        assert!(uplink.take_cut() && !uplink.take_cut());
        assert_eq!(uplink.take(), Some(UplinkFrame::Mark));
        assert_eq!(uplink.take(), None);
    }
}
