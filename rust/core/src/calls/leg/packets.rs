//! Opus of the model's that goes to a far side which takes it as it is.

use std::time::Duration;

use super::Leg;
use crate::audio::passthrough::{PacketLimits, Passed};
use crate::calls::carrier::LegCommand;

impl Leg {
    /// The line takes packets within these limits; `None`: sound alone. Holds until another line carries the
    /// call.
    pub fn take_packets(&mut self, limits: Option<PacketLimits>) {
        self.packet_limits = limits;
    }

    /// Which packets [`play_packet`](Self::play_packet) may be given; `None`: sound is played.
    pub fn packet_limits(&self) -> Option<PacketLimits> {
        let can = self.is_standing() && self.capabilities.packets;
        self.packet_limits.filter(|_| can)
    }

    /// Adds a packet, or the time of one that is missing, to the end of what is played.
    pub(super) fn play_packet(&mut self, packet: Passed, now: Duration) {
        if self.is_over() || self.is_full_up(packet.ms()) {
            return;
        }
        self.fill_frame();
        if let Some(converter) = &mut self.converter {
            converter.reset();
        }
        self.playout.queued(packet.ms());
        self.unsent.push_packet(packet);
        if !self.capabilities.packets {
            // Another line has taken the place of the one that took it.
            self.decode_unsent();
        }
        self.confirm_by = None;
        self.last_voice = self.last_voice.max(now);
        self.pump(now);
    }

    /// Sends the packet that is next.
    pub(super) fn send_packet(&mut self, packet: &Passed, now: Duration) {
        self.playout.sent(packet.ms(), now);
        self.is_passing = true;
        self.write(LegCommand::Packet(packet));
    }

    /// Sends a frame of silence, in the way in which the sound before was sent.
    pub(super) fn send_silence(&mut self, frame: usize) {
        if self.is_passing {
            self.write(LegCommand::Packet(&Passed::SILENCE));
        } else {
            let silence = vec![self.format.silence(); frame];
            self.write(LegCommand::Sound(&silence));
        }
    }

    /// Decodes the packets that were not sent, for a line that takes none.
    pub(super) fn decode_unsent(&mut self) {
        self.is_passing = false;
        #[cfg(feature = "opus")]
        if self.unsent.has_packets() {
            let pieces = self.unsent.take_all();
            self.unsent.push(&decoded(pieces, self.format));
        }
    }
}

/// These pieces as sound in a format, which has a rate of Opus: packets are played in no other one.
#[cfg(feature = "opus")]
fn decoded(
    pieces: Vec<crate::audio::mixed_queue::Queued<u8>>,
    format: crate::audio::AudioFormat,
) -> Vec<u8> {
    use crate::audio::mixed_queue::Queued;
    use crate::audio::opus::OpusDecoder;

    let rate = format.sample_rate();
    let mut decoder = OpusDecoder::new(rate).ok();
    let (mut sound, mut samples) = (Vec::new(), Vec::new());
    for piece in pieces {
        let packet = match piece {
            Queued::Samples(bytes) => {
                sound.extend(bytes);
                continue;
            }
            Queued::Packet(packet) => packet,
        };
        let length = packet.samples(rate);
        samples.clear();
        if let Some(decoder) = &mut decoder {
            let is_decoded = packet
                .payload
                .as_ref()
                .is_some_and(|it| decoder.decode_i16(it, &mut samples).is_ok());
            if !is_decoded {
                // Where that fails, the rest is silence.
                let _ = decoder.conceal_i16(length, &mut samples);
            }
        }
        samples.resize(length, 0);
        format.encode(&samples, &mut sound);
    }
    sound
}

#[cfg(all(test, feature = "webrtc"))]
mod tests {
    use super::*;
    use crate::audio::AudioFormat;
    use crate::calls::carriers::Browser;
    use crate::calls::carriers::webrtc::{RATE, Sound, WebRtcPage};
    use crate::calls::leg::{Effects, LegOptions};
    use crate::conversation::CallerCommand;
    use crate::transport::{Frame, Outgoing};

    const START: &str = r#"{"type":"start","call_id":"0123456789abcdef"}"#;
    const PCM: AudioFormat = AudioFormat::Pcm { rate: RATE };

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn started() -> Leg {
        let mut leg = Leg::new(Box::<WebRtcPage>::default(), LegOptions::default(), at(0));
        leg.receive(Frame::Text(START), at(0), &mut Effects::default());
        leg.take_packets(Some(PacketLimits::default()));
        sent(&mut leg);
        leg
    }

    /// 20 ms in a packet that is the `n`th.
    fn packet(n: u8) -> Passed {
        Passed {
            payload: Some(vec![0x78, n, 0, 0].into()),
            ticks: 960,
        }
    }

    fn play(leg: &mut Leg, packet: Passed, ms: u64) {
        leg.command(CallerCommand::Play(packet), at(ms));
    }

    fn left(leg: &Leg, ms: u64) -> u64 {
        leg.left_to_play_ms(at(ms)).round() as u64
    }

    /// What was sent: samples, packets by their numbers, gaps.
    fn sent(leg: &mut Leg) -> Vec<String> {
        let mut batch = Vec::new();
        leg.take_outgoing(&mut batch, usize::MAX);
        let shown = |message| match message {
            Outgoing::Binary(bytes) => match Sound::read(&bytes) {
                Some(Sound::Samples(samples)) => format!("pcm {}", samples.len() / 48),
                Some(Sound::Opus(Passed { payload, ticks })) => match payload {
                    Some(payload) => format!("packet {} {}", payload[1], ticks / 48),
                    None => format!("gap {}", ticks / 48),
                },
                None => panic!("{bytes:?}"),
            },
            other => format!("{other:?}"),
        };
        batch.into_iter().map(shown).collect()
    }

    /// What is sent until then, with the time of each.
    fn until(leg: &mut Leg, times: std::ops::Range<u64>) -> Vec<(u64, String)> {
        let mut all = Vec::new();
        for ms in times {
            leg.handle_timeout(at(ms), &mut Effects::default());
            all.extend(sent(leg).into_iter().map(|it| (ms, it)));
        }
        all
    }

    fn shown(sent: &[(u64, String)]) -> Vec<String> {
        let line = |(ms, it): &(u64, String)| format!("{ms}: {it}");
        sent.iter().map(line).collect()
    }

    #[test]
    fn packets_and_sound_are_sent_in_their_order_each_for_its_length() {
        let mut leg = started();
        leg.play(&[7; 30 * 48], PCM, at(0));
        play(&mut leg, packet(1), 0);
        let gap = Passed {
            payload: None,
            ticks: 1_920,
        };
        play(&mut leg, gap, 0);
        play(&mut leg, packet(2), 0);
        leg.play(&[7; 20 * 48], PCM, at(0));
        // What was no whole frame is filled up.
        assert_eq!(left(&leg, 0), 40 + 20 + 40 + 20 + 20);
        assert_eq!(
            shown(&until(&mut leg, 0..140)),
            [
                "0: pcm 20",
                "20: pcm 20",
                "40: packet 1 20",
                "60: gap 40",
                "100: packet 2 20",
                "120: pcm 20",
            ]
        );
        assert_eq!(left(&leg, 130), 10);
    }

    #[test]
    fn silence_follows_packets_as_a_packet() {
        let mut leg = started();
        play(&mut leg, packet(1), 0);
        let sent = until(&mut leg, 0..500);
        let silence = format!("packet {} 20", 0xff);
        assert_eq!(sent.len(), 11);
        assert!(sent[1..].iter().all(|(_, it)| *it == silence), "{sent:?}");
    }

    #[test]
    fn a_clear_drops_packets_and_says_what_was_heard() {
        let mut leg = started();
        for n in 0..50 {
            play(&mut leg, packet(n), 0);
        }
        assert_eq!(until(&mut leg, 0..100).len(), 5);
        assert_eq!(left(&leg, 100), 900);
        leg.command(CallerCommand::Clear, at(100));
        assert_eq!(left(&leg, 100), 0);
        play(&mut leg, packet(77), 110);
        let sent = until(&mut leg, 110..140);
        assert!(shown(&sent).iter().any(|it| it.ends_with("packet 77 20")));
        assert!(!shown(&sent).iter().any(|it| it.ends_with("packet 5 20")));
    }

    #[test]
    fn what_is_paused_goes_on_where_it_stood() {
        let mut leg = started();
        for n in 0..5 {
            play(&mut leg, packet(n), 0);
        }
        assert_eq!(until(&mut leg, 0..40).len(), 2);
        leg.pause_output(true, at(40));
        until(&mut leg, 40..1_000);
        assert_eq!(left(&leg, 1_000), 60);
        leg.pause_output(false, at(1_000));
        let sent = until(&mut leg, 1_000..1_100);
        let numbers = sent.iter().filter_map(|(_, it)| it.split(' ').nth(1));
        assert_eq!(numbers.take(3).collect::<Vec<_>>(), ["2", "3", "4"]);
    }

    #[test]
    fn what_waits_is_bounded_in_packets_too() {
        let options = LegOptions {
            max_unsent: at(100),
            ..LegOptions::default()
        };
        let mut leg = Leg::new(Box::<WebRtcPage>::default(), options, at(0));
        leg.receive(Frame::Text(START), at(0), &mut Effects::default());
        for n in 0..4 {
            play(&mut leg, packet(n), 0);
        }
        leg.play(&vec![7; 48 * 1_000], PCM, at(0));
        play(&mut leg, packet(9), 0);
        assert_eq!(left(&leg, 0), 100);
    }

    #[test]
    fn a_line_that_takes_no_packets_gets_their_sound() {
        let mut leg = started();
        let mut encoder =
            crate::audio::opus::OpusEncoder::new(RATE, <_>::default()).expect("a rate of Opus");
        for n in 0..50_i32 {
            let frame: Vec<i16> = (0..480)
                .map(|it| ((it + n * 480) % 97 * 200) as i16)
                .collect();
            let mut payload = Vec::new();
            encoder.encode_i16(&frame, &mut payload).expect("20 ms");
            let payload = (n != 30).then(|| payload.into());
            play(
                &mut leg,
                Passed {
                    payload,
                    ticks: 960,
                },
                0,
            );
        }
        assert_eq!(until(&mut leg, 0..200).len(), 10);
        let mut effects = Effects::default();
        leg.line_ended("gone", false, at(200), &mut effects);
        assert_eq!(leg.packet_limits(), None);
        let mut page = Browser::default();
        let mut start = None;
        crate::calls::carrier::Carrier::read(&mut page, Frame::Text(START), &mut |message| {
            if let crate::calls::carrier::LegMessage::Started(it) = message {
                start = Some(it);
            }
        });
        let before = left(&leg, 200);
        leg.resume(
            Box::new(page),
            start.expect("a start"),
            at(200),
            &mut effects,
        );
        assert_eq!(left(&leg, 200), before);
        let mut batch = Vec::new();
        leg.take_outgoing(&mut batch, usize::MAX);
        let bytes = batch.iter().map(|it| match it {
            Outgoing::Binary(sound) => sound.len(),
            _ => 0,
        });
        // Besides the headers of a few messages.
        let sound = 40 * 960;
        assert!((sound..sound + 500).contains(&bytes.sum::<usize>()));
        // One that was given before anybody knew comes last.
        play(&mut leg, packet(1), 210);
        assert!(!leg.unsent.has_packets());
    }
}
