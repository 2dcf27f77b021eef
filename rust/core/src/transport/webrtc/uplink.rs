//! The user's sound on its way to the peer: packets, each at its deadline.

use std::time::Duration;

use super::peer::Opus;
use crate::audio::mixed_queue::Queued;
use crate::audio::opus::OpusError;
use crate::audio::passthrough::PacketLimits;
use crate::audio::rtp::following::Following;
use crate::audio::rtp::rate::Report;
use crate::audio::rtp::sender::{OpusSender, SenderError, SenderOptions};
use crate::transport::media::{Uplink, UplinkFrame};

/// The driver's queue and encoder of the user's sound.
pub(super) struct UplinkEncoder {
    sender: OpusSender,
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
            rate,
            following: Following::new(options.encoder, min_bitrate),
            marked: false,
        })
    }

    /// Encodes for a far side that takes so many bits per second at most.
    pub fn limit(&mut self, max_bitrate: u32) -> Result<(), OpusError> {
        self.sender.adapt(self.following.limit(max_bitrate))
    }

    /// Follows what the far side reports.
    pub fn follow(&mut self, report: Report, now: Duration) -> Result<(), OpusError> {
        self.sender.adapt(self.following.report(report, now))
    }

    /// The bitrate of the encoder, in bits per second, and the last report of the far side.
    pub fn network(&mut self) -> (u32, Report) {
        (self.sender.bitrate(), self.following.last())
    }

    /// Takes frames from the uplink, up to the next mark. Returns for how many of them older sound was dropped,
    /// because too much waits here.
    pub fn take(&mut self, uplink: &Uplink, now: Duration) -> u64 {
        let mut dropped = 0;
        if uplink.take_flush() {
            self.sender.clear();
        }
        let late = uplink.take_late() / 2;
        if late > 0 {
            self.sender.catch_up(late);
        }
        while !self.marked {
            match uplink.take() {
                Some(UplinkFrame::Samples(samples)) => {
                    dropped += u64::from(self.sender.push(&samples, now) > 0);
                }
                Some(UplinkFrame::Packet(packet, _)) => {
                    dropped += u64::from(self.sender.pass(packet, now) > 0);
                }
                Some(UplinkFrame::Mark) => {
                    self.sender.flush();
                    self.marked = true;
                }
                None => break,
            }
        }
        self.report_held(uplink);
        dropped
    }

    /// Gives up what waits here, because the connection is over.
    pub fn take_unsent(&mut self) -> Vec<UplinkFrame> {
        let rate = self.rate;
        let piece = move |piece| match piece {
            Queued::Samples(samples) => UplinkFrame::Samples(samples),
            Queued::Packet(packet) => {
                let samples = packet.samples(rate);
                UplinkFrame::Packet(packet, samples)
            }
        };
        let mark = std::mem::take(&mut self.marked).then_some(UplinkFrame::Mark);
        let queue = self.sender.take_queue().into_iter().map(piece);
        queue.chain(mark).collect()
    }

    /// Which packets of somebody else's may be sent in place of ours, to a far side that takes `limits`.
    pub fn passes(&self, limits: PacketLimits) -> Option<PacketLimits> {
        self.following.passes(limits)
    }

    /// How many packets were sent as they came.
    pub fn passed(&self) -> u64 {
        self.sender.stats().passed
    }

    /// Tells the uplink how many bytes wait here.
    pub fn report_held(&self, uplink: &Uplink) {
        let samples = self.sender.queued().as_secs_f64() * f64::from(self.rate);
        uplink.set_held(samples.round() as usize * 2);
    }

    /// The next packet, if it is due.
    pub fn poll(&mut self, now: Duration) -> Result<Option<Opus>, OpusError> {
        let packet = self.sender.poll(now)?;
        Ok(packet.map(|packet| Opus {
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload,
        }))
    }

    /// Whether all sound before a mark has been sent since the last call.
    pub fn passed_mark(&mut self) -> bool {
        let passed = self.marked && self.sender.queued().is_zero();
        self.marked &= !passed;
        passed
    }

    pub fn next_deadline(&self) -> Option<Duration> {
        self.sender.next_deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::opus::{Application, EncoderSettings};
    use crate::audio::passthrough::Passed;

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
    fn sound_that_came_late_delays_none_after_it() {
        let uplink = Uplink::new(1 << 20);
        let mut encoder = UplinkEncoder::new(24_000, SenderOptions::default(), 16_000).unwrap();
        uplink.push(UplinkFrame::Samples(vec![1000; 24_000]));
        uplink.hurry(2 * 24_000);
        for at in 0..75 {
            uplink.push(packet(0));
            encoder.take(&uplink, ms(at * 20));
            for now in [at * 20, at * 20 + 10] {
                while encoder.poll(ms(now)).unwrap().is_some() {}
            }
            encoder.report_held(&uplink);
        }
        assert!(uplink.bytes() <= 2 * 2 * 480, "{}", uplink.bytes());
    }

    #[test]
    fn what_is_dropped_because_too_much_waits_is_counted() {
        let options = SenderOptions {
            max_queue: ms(100),
            ..SenderOptions::default()
        };
        let uplink = Uplink::new(1 << 20);
        let mut encoder = UplinkEncoder::new(24_000, options, 16_000).unwrap();
        for (pieces, dropped) in [(5, 0), (3, 3), (0, 0)] {
            for _ in 0..pieces {
                uplink.push(UplinkFrame::Samples(vec![1000; 480]));
            }
            assert_eq!(encoder.take(&uplink, ms(0)), dropped);
        }
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

    /// A packet of 20 ms which is the `n`th.
    fn packet(n: u8) -> UplinkFrame {
        let payload = Some(vec![0x78, n, 0, 0].into());
        UplinkFrame::Packet(
            Passed {
                payload,
                ticks: 960,
            },
            480,
        )
    }

    #[test]
    fn packets_are_sent_as_they_are_in_their_place_among_samples() {
        let uplink = Uplink::new(1 << 20);
        let mut encoder = UplinkEncoder::new(24_000, SenderOptions::default(), 16_000).unwrap();
        uplink.push(UplinkFrame::Samples(vec![1000; 960]));
        uplink.push(packet(1));
        let lost = Passed {
            payload: None,
            ticks: 960,
        };
        uplink.push(UplinkFrame::Packet(lost, 480));
        uplink.push(packet(2));
        uplink.mark();
        uplink.push(UplinkFrame::Samples(vec![1000; 480]));
        let mut sent = Vec::new();
        for at in 0..200 {
            encoder.take(&uplink, ms(at));
            while let Some(packet) = encoder.poll(ms(at)).unwrap() {
                let is_passed = packet.payload.len() == 4;
                let which = is_passed.then(|| packet.payload[1]);
                sent.push((at, packet.timestamp, which));
            }
            encoder.passed_mark();
        }
        assert_eq!(
            sent,
            [
                (0, 0, None),
                (20, 960, None),
                (40, 1_920, Some(1)),
                (80, 3_840, Some(2)),
                (100, 4_800, None),
            ]
        );
        assert_eq!(encoder.passed(), 2);
    }

    #[test]
    fn packets_that_were_not_sent_go_on_over_the_next_connection() {
        let uplink = Uplink::new(1 << 20);
        let encoder = || UplinkEncoder::new(24_000, SenderOptions::default(), 16_000).unwrap();
        let mut first = encoder();
        for n in 0..4 {
            uplink.push(packet(n));
        }
        uplink.push(UplinkFrame::Samples(vec![1; 480]));
        first.take(&uplink, ms(0));
        assert!(first.poll(ms(0)).unwrap().is_some());
        first.report_held(&uplink);
        assert_eq!(uplink.bytes(), 2 * 4 * 480);
        uplink.suspend(1 << 20);
        uplink.give_back(first.take_unsent());
        uplink.push(packet(4));
        uplink.resume();
        let mut second = encoder();
        let mut sent = Vec::new();
        for at in 0..100 {
            second.take(&uplink, ms(at));
            while let Some(packet) = second.poll(ms(at)).unwrap() {
                sent.push(packet.payload[1]);
            }
        }
        second.report_held(&uplink);
        assert_eq!((sent.len(), &sent[..3], sent[4]), (5, &[1, 2, 3][..], 4));
        assert_eq!(uplink.bytes(), 0);
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
