//! The answer's sound on its way to the endpoint: put in order, decoded where somebody listens, and split
//! into segments.

use std::collections::VecDeque;
use std::time::Duration;

use super::peer::Received;
use crate::audio::rtp::jitter::{JitterOptions, JitterStats, RtpPacket};
use crate::audio::rtp::receiver::{OpusReceiver, ReceiverError};
use crate::transport::media::{DecodeMode, DownlinkFrame, SoundEndpoint};

/// How long before the server's announcement a segment begins, in ticks of 1/48,000 s: two packets.
/// The announcement comes over another channel than the sound and may be a little late.
const LEAD: u32 = 2 * 960;

/// Where a segment begins.
#[derive(Debug, Clone, Copy)]
struct Boundary {
    /// The timestamp of its first sample; `None`: at once.
    timestamp: Option<u32>,
    segment: u64,
    /// When it is crossed at the latest, in case no more sound comes.
    by: Duration,
}

/// The driver's jitter buffer and decoder of the answer's sound.
pub(super) struct DownlinkDecoder {
    receiver: OpusReceiver,
    options: JitterOptions,
    boundaries: VecDeque<Boundary>,
    /// The segment of the packets that arrive now.
    arriving: u64,
    /// The segment of the sound that is passed on now.
    playing: u64,
    /// The greatest timestamp so far.
    newest: Option<u32>,
    samples: Vec<i16>,
}

impl DownlinkDecoder {
    pub fn new(rate: u32, options: JitterOptions) -> Result<Self, ReceiverError> {
        Ok(Self {
            receiver: OpusReceiver::new(rate, options)?,
            options,
            boundaries: VecDeque::new(),
            arriving: 0,
            playing: 0,
            newest: None,
            samples: Vec::new(),
        })
    }

    pub fn insert(&mut self, packet: Received, now: Duration) {
        let newer = |newest: u32| packet.timestamp.wrapping_sub(newest) as i32 > 0;
        if self.newest.is_none_or(newer) {
            self.newest = Some(packet.timestamp);
        }
        let packet = RtpPacket {
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            payload: packet.payload,
        };
        self.receiver.insert(packet, now);
    }

    /// Sets the segment of the packets that arrive from now on.
    pub fn set_arriving(&mut self, segment: u64, now: Duration) {
        if segment == self.arriving {
            return;
        }
        self.arriving = segment;
        let timestamp = self.newest.map(|newest| {
            if segment == 0 {
                newest.wrapping_add(1)
            } else {
                newest.wrapping_sub(LEAD)
            }
        });
        self.boundaries.push_back(Boundary {
            timestamp,
            segment,
            by: now + self.options.max_delay,
        });
    }

    /// Passes the sound that is due on to the endpoint.
    pub fn play<E: SoundEndpoint + ?Sized>(
        &mut self,
        endpoint: &E,
        now: Duration,
    ) -> Result<(), ReceiverError> {
        let wanted = endpoint.wanted();
        let limits = match wanted {
            DecodeMode::Packets(limits) => Some(limits),
            DecodeMode::Samples | DecodeMode::Length => None,
        };
        loop {
            self.samples.clear();
            let is_heard = self.playing != 0 || self.arriving != 0;
            let due = if is_heard && wanted != DecodeMode::Length {
                self.receiver.poll_passing(now, limits, &mut self.samples)?
            } else {
                let undecoded = self.receiver.poll_undecoded(now);
                undecoded.map(|frame| (frame, None))
            };
            let Some((frame, passed)) = due else {
                break;
            };
            self.cross(Some(frame.timestamp), endpoint, now);
            if self.playing != 0 {
                let piece = match &passed {
                    Some(passed) => DownlinkFrame::Packet(passed, frame.samples),
                    None if self.samples.is_empty() => DownlinkFrame::Length(frame.samples),
                    None => DownlinkFrame::Samples(&self.samples),
                };
                endpoint.on_sound(self.playing, piece);
            }
        }
        self.cross(None, endpoint, now);
        Ok(())
    }

    /// Crosses the boundaries up to `timestamp`, and those whose time limit has passed.
    fn cross<E: SoundEndpoint + ?Sized>(
        &mut self,
        timestamp: Option<u32>,
        endpoint: &E,
        now: Duration,
    ) {
        while let Some(next) = self.boundaries.front() {
            let reached = match (next.timestamp, timestamp) {
                (None, _) => true,
                (Some(at), Some(timestamp)) => timestamp.wrapping_sub(at) as i32 >= 0,
                (Some(_), None) => false,
            };
            if !reached && now < next.by {
                return;
            }
            let before = std::mem::replace(&mut self.playing, next.segment);
            self.boundaries.pop_front();
            if before != 0 {
                endpoint.on_segment_ended(before);
            }
        }
    }

    pub fn next_deadline(&self) -> Option<Duration> {
        let sound = self.receiver.next_deadline();
        let boundary = self.boundaries.front().map(|boundary| boundary.by);
        [sound, boundary].into_iter().flatten().min()
    }

    pub fn stats(&self) -> JitterStats {
        self.receiver.stats()
    }
}
