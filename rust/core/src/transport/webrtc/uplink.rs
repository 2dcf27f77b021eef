//! The user's sound on its way out: 20 ms at a time, when their time has come.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::peer::Opus;
use crate::audio::opus::OpusError;
use crate::audio::sender::{OpusSender, SenderError, SenderOptions};
use crate::transport::media::{Uplink, UplinkFrame};

/// The duration of a packet.
const FRAME: Duration = Duration::from_millis(20);

/// The same in ticks of 1/48,000 s.
const FRAME_TICKS: u32 = 960;

/// How late packets may be that are sent one upon the other to make up for it.
const MOST_LATE: Duration = Duration::from_millis(100);

/// What the driver holds of the user's sound.
pub(super) struct UplinkEncoder {
    sender: OpusSender,
    packets: Packets,
    rate: u32,
    /// A mark has been reached, and waits for what is before it.
    marked: bool,
}

impl UplinkEncoder {
    pub fn new(rate: u32, options: SenderOptions) -> Result<Self, SenderError> {
        Ok(Self {
            sender: OpusSender::new(rate, options)?,
            packets: Packets::default(),
            rate,
            marked: false,
        })
    }

    /// Takes what there is to be sent, up to the next mark.
    pub fn take(&mut self, uplink: &Uplink, now: Duration) {
        if uplink.take_cut() {
            self.sender.clear();
            self.packets.waiting.clear();
        }
        while !self.marked {
            match uplink.take() {
                Some(UplinkFrame::Samples(samples)) => {
                    self.sender.push(&samples, now);
                }
                Some(UplinkFrame::Packet(packet)) => self.packets.waiting.push_back(packet),
                Some(UplinkFrame::Mark) => {
                    self.sender.flush();
                    self.marked = true;
                }
                None => break,
            }
        }
        self.tell_held(uplink);
    }

    /// Says how much waits here.
    pub fn tell_held(&self, uplink: &Uplink) {
        let samples = self.sender.queued().as_secs_f64() * f64::from(self.rate);
        let packets: usize = self.packets.waiting.iter().map(Bytes::len).sum();
        uplink.set_held(samples as usize * 2 + packets);
    }

    /// The next packet, if it is due.
    pub fn poll(&mut self, now: Duration) -> Result<Option<Opus>, OpusError> {
        if let Some(packet) = self.packets.poll(now) {
            return Ok(Some(packet));
        }
        let packet = self.sender.poll(now)?;
        Ok(packet.map(|packet| Opus {
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload,
        }))
    }

    /// Whether all before a mark has been sent since this was asked last.
    pub fn passed_mark(&mut self) -> bool {
        let passed =
            self.marked && self.sender.queued().is_zero() && self.packets.waiting.is_empty();
        self.marked &= !passed;
        passed
    }

    pub fn next_deadline(&self) -> Option<Duration> {
        let packet = (!self.packets.waiting.is_empty()).then_some(self.packets.due);
        [packet, self.sender.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}

/// Packets that were encoded elsewhere.
#[derive(Default)]
struct Packets {
    waiting: VecDeque<Bytes>,
    due: Duration,
    timestamp: u32,
}

impl Packets {
    fn poll(&mut self, now: Duration) -> Option<Opus> {
        if now < self.due {
            return None;
        }
        let payload = self.waiting.pop_front()?;
        let late = now.saturating_sub(self.due);
        let marker = late > MOST_LATE;
        if marker {
            self.timestamp = self
                .timestamp
                .wrapping_add((late.as_millis() as u32).wrapping_mul(48));
            self.due = now;
        }
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(FRAME_TICKS);
        self.due += FRAME;
        Some(Opus {
            timestamp,
            marker,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_mark_waits_for_the_sound_before_it() {
        let uplink = Uplink::new(1 << 20);
        let mut uplink_encoder = UplinkEncoder::new(24_000, SenderOptions::default()).unwrap();
        uplink.push(UplinkFrame::Samples(vec![1000; 700]));
        uplink.mark();
        uplink.push(UplinkFrame::Samples(vec![1000; 480]));
        let mut now = Duration::ZERO;
        let mut sent = 0;
        let mut sent_before_mark = None;
        uplink_encoder.take(&uplink, now);
        for _ in 0..200 {
            while uplink_encoder.poll(now).unwrap().is_some() {
                sent += 1;
            }
            if uplink_encoder.passed_mark() {
                sent_before_mark = Some(sent);
                uplink_encoder.take(&uplink, now);
            }
            now += ms(1);
        }
        uplink_encoder.tell_held(&uplink);
        // 700 samples are a frame and a half; the half is filled up.
        assert_eq!((sent_before_mark, sent), (Some(2), 3));
        assert_eq!(uplink.bytes(), 0);
    }

    #[test]
    fn a_cut_throws_away_what_waits_for_its_time() {
        let uplink = Uplink::new(1 << 20);
        let mut uplink_encoder = UplinkEncoder::new(24_000, SenderOptions::default()).unwrap();
        uplink.push(UplinkFrame::Samples(vec![1000; 24_000]));
        uplink_encoder.take(&uplink, ms(0));
        assert_eq!(uplink.bytes(), 48_000);
        uplink.clear();
        uplink_encoder.take(&uplink, ms(5));
        assert_eq!(uplink.bytes(), 0);
        assert!(uplink_encoder.poll(ms(100)).unwrap().is_none());
    }

    #[test]
    fn packets_go_out_every_twenty_milliseconds_and_keep_time_across_a_pause() {
        let mut packets = Packets::default();
        let mut send = |now: Duration| {
            packets.waiting.push_back(Bytes::from_static(b"op"));
            packets
                .poll(now)
                .map(|packet| (packet.timestamp, packet.marker))
        };
        assert_eq!(send(ms(0)), Some((0, false)));
        assert_eq!(send(ms(10)), None);
        assert_eq!(send(ms(21)), Some((960, false)));
        assert_eq!(send(ms(1040)), Some((960 + 1000 * 48 + 960, true)));
    }
}
