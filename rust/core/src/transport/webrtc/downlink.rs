//! The answer's sound on its way to the endpoint: put in order, decoded where somebody listens, and split
//! into segments.

use std::collections::VecDeque;
use std::time::Duration;

use super::peer::Received;
use crate::audio::rtp::jitter::{Insertion, JitterOptions, JitterStats, RtpPacket};
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

/// How much faster than in real time a server may send: an answer as a whole.
const MAX_AHEAD: Duration = Duration::from_secs(300);

/// The driver's jitter buffer and decoder of the answer's sound.
pub(super) struct DownlinkDecoder {
    receiver: OpusReceiver,
    options: JitterOptions,
    boundaries: VecDeque<Boundary>,
    /// The segment of the packets that arrive now.
    arriving: u64,
    /// The segment of the sound that is passed on now.
    playing: u64,
    /// The greatest timestamp of the stream so far.
    newest: Option<u32>,
    /// How often another stream had begun then.
    restarts: u64,
    samples: Vec<i16>,
}

impl DownlinkDecoder {
    pub fn new(rate: u32, options: JitterOptions) -> Result<Self, ReceiverError> {
        let mut receiver = OpusReceiver::new(rate, options)?;
        receiver.allow_ahead(MAX_AHEAD);
        Ok(Self {
            receiver,
            options,
            boundaries: VecDeque::new(),
            arriving: 0,
            playing: 0,
            newest: None,
            restarts: 0,
            samples: Vec::new(),
        })
    }

    pub fn insert(&mut self, packet: Received, now: Duration) {
        let timestamp = packet.timestamp;
        let packet = RtpPacket {
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp,
            payload: packet.payload,
        };
        // The timestamp of a packet that is none of the stream's would hide those that follow.
        if self.receiver.insert(packet, now) != Insertion::Accepted {
            return;
        }
        let newer = |newest: u32| timestamp.wrapping_sub(newest) as i32 > 0;
        let restarts = self.receiver.restarts();
        if restarts != self.restarts {
            self.restarts = restarts;
            self.newest = Some(timestamp);
            // What waited of the stream before is gone: its boundaries are behind all that comes.
            for boundary in &mut self.boundaries {
                boundary.timestamp = None;
            }
        } else if self.newest.is_none_or(newer) {
            self.newest = Some(timestamp);
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bytes::Bytes;
    use tokio::sync::{Notify, watch};

    use super::*;
    use crate::transport::endpoint::{CloseReason, Endpoint, Frame, Outgoing};
    use crate::transport::media::{SoundStats, Uplink};

    /// 20 ms of silence in Opus.
    const PACKET: &[u8] = &[0xf8, 0xff, 0xfe];

    /// Keeps which segment each piece of sound belongs to.
    struct Ear {
        segments: Mutex<Vec<u64>>,
        ready: Notify,
    }

    impl Endpoint for Ear {
        fn on_frame(&self, _: Frame<'_>) {}
        fn take_outgoing(&self, _: &mut Vec<Outgoing>, _: usize) {}
        fn on_flushed(&self) {}
        fn outgoing_ready(&self) -> &Notify {
            &self.ready
        }
        fn reading_held(&self) -> watch::Receiver<bool> {
            watch::Sender::new(false).subscribe()
        }
        fn on_ended(&self, _: CloseReason) {}
    }

    impl SoundEndpoint for Ear {
        fn uplink(&self) -> Option<&Uplink> {
            None
        }
        fn wanted(&self) -> DecodeMode {
            DecodeMode::Length
        }
        fn segment(&self) -> u64 {
            0
        }
        fn on_sound(&self, segment: u64, _: DownlinkFrame<'_>) {
            self.segments.lock().expect("no panic").push(segment);
        }
        fn on_segment_ended(&self, _: u64) {}
        fn on_mark(&self) {}
        fn on_room(&self) {}
        fn on_stats(&self, _: SoundStats) {}
    }

    struct Stream {
        downlink: DownlinkDecoder,
        ear: Ear,
        now: Duration,
    }

    impl Stream {
        fn new() -> Self {
            Self {
                downlink: DownlinkDecoder::new(24_000, JitterOptions::default()).expect("usable"),
                ear: Ear {
                    segments: Mutex::default(),
                    ready: Notify::new(),
                },
                now: Duration::ZERO,
            }
        }

        fn insert(&mut self, ssrc: u32, sequence: u16, timestamp: u32) {
            let payload = Bytes::from_static(PACKET);
            let packet = Received {
                ssrc,
                sequence,
                timestamp,
                payload,
            };
            self.downlink.insert(packet, self.now);
        }

        /// So many packets in real time, from that sequence and timestamp on.
        fn run(&mut self, ssrc: u32, sequence: u16, timestamp: u32, packets: u16) {
            for n in 0..packets {
                self.insert(ssrc, sequence + n, timestamp + u32::from(n) * 960);
                self.now += Duration::from_millis(20);
                self.downlink.play(&self.ear, self.now).expect("sound");
            }
        }

        /// How many pieces the segment has.
        fn pieces(&self, segment: u64) -> usize {
            let segments = self.ear.segments.lock().expect("no panic");
            segments.iter().filter(|it| **it == segment).count()
        }
    }

    #[test]
    fn an_answer_begins_at_its_place_in_a_stream_that_has_begun_anew() {
        // Another stream, or another sequence of it, with timestamps behind those of the one before.
        for (ssrc, sequence) in [(2, 7), (1, 40_000)] {
            let mut stream = Stream::new();
            stream.run(1, 0, 1_000_000_000, 50);
            stream.run(ssrc, sequence, 5_000, 50);
            stream.downlink.set_arriving(4, stream.now);
            stream.run(ssrc, sequence + 50, 5_000 + 50 * 960, 50);
            // What waits in the jitter buffer is not played yet: 40 ms at most.
            assert!(stream.pieces(4) >= 48, "{}", stream.pieces(4));
        }
    }

    #[test]
    fn an_announcement_just_before_the_stream_begins_anew_holds_for_the_new_one() {
        let mut stream = Stream::new();
        stream.run(1, 0, 1_000_000_000, 50);
        stream.downlink.set_arriving(4, stream.now);
        stream.run(2, 0, 5_000, 50);
        assert!(stream.pieces(4) >= 47, "{}", stream.pieces(4));
    }

    #[test]
    fn a_packet_that_is_none_of_the_stream_moves_no_boundary() {
        let mut stream = Stream::new();
        stream.run(1, 0, 1_000_000, 50);
        stream.insert(1, 30_000, 1_000_000_000);
        stream.downlink.set_arriving(4, stream.now);
        stream.run(1, 50, 1_000_000 + 50 * 960, 50);
        assert!(stream.pieces(4) >= 48, "{}", stream.pieces(4));
    }
}
