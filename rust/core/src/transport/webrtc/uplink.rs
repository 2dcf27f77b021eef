//! The user's sound on its way to the peer: packets of 20 ms, each at its deadline.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::peer::Opus;
use crate::audio::opus::OpusError;
use crate::audio::rtp::following::Following;
use crate::audio::rtp::rate::Report;
use crate::audio::rtp::sender::{OpusSender, SenderError, SenderOptions};
use crate::transport::media::{Uplink, UplinkFrame};

/// The duration of a packet.
const FRAME: Duration = Duration::from_millis(20);

/// The same in ticks of 1/48,000 s.
const FRAME_TICKS: u32 = 960;

/// The longest delay that is caught up by sending packets back to back.
const MAX_LATE: Duration = Duration::from_millis(100);

/// The driver's queue and encoder of the user's sound.
pub(super) struct UplinkEncoder {
    sender: OpusSender,
    packets: Packets,
    rate: u32,
    following: Following,
    /// A mark was taken from the uplink, and the sound before it is still to be sent.
    marked: bool,
}

impl UplinkEncoder {
    /// An encoder that takes `min_bitrate` bits per second at least, however narrow the network is.
    pub fn new(rate: u32, options: SenderOptions, min_bitrate: u32) -> Result<Self, SenderError> {
        Ok(Self {
            sender: OpusSender::new(rate, options)?,
            packets: Packets::default(),
            rate,
            following: Following::new(options.encoder, min_bitrate),
            marked: false,
        })
    }

    /// Follows what the far side reports.
    pub fn follow(&mut self, report: Report, now: Duration) -> Result<(), OpusError> {
        self.sender.adapt(self.following.report(report, now))
    }

    /// The bitrate of the encoder, in bits per second, and the last report of the far side.
    pub fn network(&mut self) -> (u32, Report) {
        (self.sender.bitrate(), self.following.last())
    }

    /// Takes frames from the uplink, up to the next mark.
    pub fn take(&mut self, uplink: &Uplink, now: Duration) {
        if uplink.take_flush() {
            self.sender.clear();
            self.packets.waiting.clear();
        }
        let late = uplink.take_late() / 2;
        if late > 0 {
            self.sender.catch_up(late);
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
        self.report_held(uplink);
    }

    /// Gives up what waits here, because the connection is over.
    pub fn take_unsent(&mut self) -> Vec<UplinkFrame> {
        let samples = Some(self.sender.take_queue()).filter(|samples| !samples.is_empty());
        let packets = std::mem::take(&mut self.packets.waiting);
        let mark = std::mem::take(&mut self.marked).then_some(UplinkFrame::Mark);
        let packets = packets.into_iter().map(UplinkFrame::Packet);
        let samples = samples.map(UplinkFrame::Samples);
        packets.chain(samples).chain(mark).collect()
    }

    /// Tells the uplink how many bytes wait here.
    pub fn report_held(&self, uplink: &Uplink) {
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

    /// Whether all sound before a mark has been sent since the last call.
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

/// Packets that were encoded elsewhere and are passed through. Only a benchmark sends them today;
/// they are for callers whose packets are Opus already.
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
        let marker = late > MAX_LATE;
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
    use crate::audio::opus::{Application, EncoderSettings};

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_mark_waits_for_the_sound_before_it() {
        let uplink = Uplink::new(1 << 20);
        let mut uplink_encoder =
            UplinkEncoder::new(24_000, SenderOptions::default(), 16_000).unwrap();
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
        uplink_encoder.report_held(&uplink);
        // 700 samples are a frame and a half; the half is padded with silence.
        assert_eq!((sent_before_mark, sent), (Some(2), 3));
        assert_eq!(uplink.bytes(), 0);
    }

    #[test]
    fn what_was_not_sent_goes_on_over_the_next_connection() {
        let uplink = Uplink::new(1 << 20);
        let encoder = || UplinkEncoder::new(24_000, SenderOptions::default(), 16_000).unwrap();
        let mut first = encoder();
        uplink.push(UplinkFrame::Samples(vec![1000; 960]));
        uplink.mark();
        first.take(&uplink, ms(0));
        assert!(first.poll(ms(0)).unwrap().is_some() && !first.passed_mark());
        uplink.push(UplinkFrame::Samples(vec![1000; 480]));
        uplink.give_back(first.take_unsent());
        assert_eq!(uplink.bytes(), 2 * 960);
        let mut second = encoder();
        second.take(&uplink, ms(0));
        assert!(second.poll(ms(0)).unwrap().is_some());
        second.report_held(&uplink);
        assert!(second.passed_mark());
        assert_eq!(uplink.bytes(), 2 * 480);
    }

    #[test]
    fn sound_of_while_there_was_no_call_is_sent_twice_as_fast() {
        let uplink = Uplink::new(1 << 20);
        uplink.suspend(1 << 20);
        uplink.push(UplinkFrame::Samples(vec![1000; 24_000]));
        uplink.resume();
        let mut encoder = UplinkEncoder::new(24_000, SenderOptions::default(), 16_000).unwrap();
        let mut behind = Vec::new();
        for at in 0..150 {
            // A microphone goes on.
            uplink.push(UplinkFrame::Samples(vec![1000; 480]));
            encoder.take(&uplink, ms(at * 20));
            for now in [at * 20, at * 20 + 10] {
                while encoder.poll(ms(now)).unwrap().is_some() {}
            }
            encoder.report_held(&uplink);
            behind.push(uplink.bytes());
        }
        assert!(behind[25] > 20_000, "{behind:?}");
        assert!(
            behind[60..].iter().all(|bytes| *bytes <= 2 * 2 * 480),
            "{behind:?}"
        );
    }

    #[test]
    fn a_flush_drops_what_waits_for_its_deadline() {
        let uplink = Uplink::new(1 << 20);
        let mut uplink_encoder =
            UplinkEncoder::new(24_000, SenderOptions::default(), 16_000).unwrap();
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

    #[test]
    fn the_encoder_follows_reports_without_a_gap() {
        let options = SenderOptions {
            encoder: EncoderSettings {
                application: Application::LowDelay,
                bitrate: Some(72_000),
                complexity: Some(1),
                ..EncoderSettings::default()
            },
            ..SenderOptions::default()
        };
        let uplink = Uplink::new(1 << 20);
        let mut encoder = UplinkEncoder::new(24_000, options, 16_000).unwrap();
        let noise = |n: usize| ((n * 7_919) % 4_001) as i16 - 2_000;
        uplink.push(UplinkFrame::Samples((0..24_000 * 8).map(noise).collect()));
        let mut bytes = Vec::new();
        for at in 0..400 {
            encoder.take(&uplink, ms(at * 20));
            let packet = encoder.poll(ms(at * 20)).unwrap().unwrap();
            bytes.push(packet.payload.len());
            if at % 50 == 49 {
                let lost = if at < 200 { 0.06 } else { 0.3 };
                let report = Report {
                    lost,
                    ..Report::default()
                };
                encoder.follow(report, ms(at * 20)).unwrap();
            }
        }
        let spent = |range: std::ops::Range<usize>| bytes[range].iter().sum::<usize>();
        assert!(spent(350..400) < spent(0..50) / 2, "{bytes:?}");
        let (bitrate, report) = encoder.network();
        assert!((16_000..40_000).contains(&bitrate), "{bitrate}");
        assert!((report.lost - 0.3).abs() < 1e-9);
    }
}
