//! The answer's sound on its way in: put in order, and told apart by what it belongs to.

use std::collections::VecDeque;
use std::time::Duration;

use super::peer::Received;
use crate::audio::jitter::{Content, JitterBuffer, JitterOptions, JitterStats, RtpPacket};
use crate::audio::receiver::{OpusReceiver, ReceiverError};
use crate::transport::media::{DecodeMode, DownlinkFrame, SoundEndpoint};

/// How far back a segment of sound begins when the server says that it does, in ticks of 1/48,000
/// s: two packets. The word comes over another channel than the sound, and may be a little late.
const LEAD: u32 = 2 * 960;

/// Where sound begins to belong to another segment.
#[derive(Debug, Clone, Copy)]
struct Boundary {
    /// `None`: at once.
    timestamp: Option<u32>,
    segment: u64,
    /// When it is passed at the latest, should no sound come any more.
    by: Duration,
}

/// What the driver holds of the answer's sound.
pub(super) struct DownlinkDecoder {
    receiver: OpusReceiver,
    /// In place of the receiver where packets are wanted as they are.
    packets: Option<JitterBuffer>,
    options: JitterOptions,
    boundaries: VecDeque<Boundary>,
    /// What packets belong to that arrive now, and what is played now.
    arriving: u64,
    playing: u64,
    newest: Option<u32>,
    samples: Vec<i16>,
}

impl DownlinkDecoder {
    pub fn new(rate: u32, options: JitterOptions) -> Result<Self, ReceiverError> {
        Ok(Self {
            receiver: OpusReceiver::new(rate, options)?,
            packets: None,
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
        match &mut self.packets {
            Some(buffer) => buffer.insert(packet, now),
            None => self.receiver.insert(packet, now),
        };
    }

    /// Notes what packets belong to that arrive from now on.
    pub fn arrives(&mut self, segment: u64, now: Duration) {
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

    /// Passes on what is due.
    pub fn play<E: SoundEndpoint + ?Sized>(
        &mut self,
        endpoint: &E,
        now: Duration,
    ) -> Result<(), ReceiverError> {
        let wanted = endpoint.wanted();
        if wanted == DecodeMode::Packets && self.packets.is_none() {
            self.packets = Some(JitterBuffer::new(self.options)?);
        }
        loop {
            let due = if let Some(buffer) = &mut self.packets {
                let Some(playout) = buffer.poll(now) else {
                    break;
                };
                self.cross(Some(playout.timestamp), endpoint, now);
                if self.playing != 0
                    && let Content::Packet(packet) = &playout.content
                {
                    endpoint.on_sound(self.playing, DownlinkFrame::Packet(packet));
                }
                continue;
            } else if wanted == DecodeMode::Samples && (self.playing != 0 || self.arriving != 0) {
                self.samples.clear();
                self.receiver.poll(now, &mut self.samples)?
            } else {
                self.receiver.poll_unheard(now)
            };
            let Some(heard) = due else {
                break;
            };
            self.cross(Some(heard.timestamp), endpoint, now);
            if self.playing != 0 {
                let piece = if wanted == DecodeMode::Samples && !self.samples.is_empty() {
                    DownlinkFrame::Samples(&self.samples)
                } else {
                    DownlinkFrame::Length(heard.samples)
                };
                endpoint.on_sound(self.playing, piece);
            }
        }
        self.cross(None, endpoint, now);
        Ok(())
    }

    /// Passes the boundaries before sound of that time, and those whose time is up.
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
        let sound = match &self.packets {
            Some(buffer) => buffer.next_deadline(),
            None => self.receiver.next_deadline(),
        };
        let boundary = self.boundaries.front().map(|boundary| boundary.by);
        [sound, boundary].into_iter().flatten().min()
    }

    pub fn stats(&self) -> JitterStats {
        match &self.packets {
            Some(buffer) => buffer.stats(),
            None => self.receiver.stats(),
        }
    }
}
