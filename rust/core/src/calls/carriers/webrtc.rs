//! A web page over WebRTC: sound over RTP, and the control of [`browser`](super::browser) over a data
//! channel.
//!
//! Whoever drives the line turns packets into sound and back, and this codec says what the messages mean:
//!
//! - The page's `start` is the same, without a codec. One that has no data channel says nothing; the driver
//!   starts the call for it.
//! - This side sends each frame when it is due. What was sent is heard, and what was not sent can be dropped:
//!   there are no marks, no reports, and nothing to clear.
//! - Sound is PCM where somebody listens, and Opus as it came where nobody does. In front of what the driver
//!   passes on stands its time, in milliseconds, 64 bits, and in front of all sound what it is: see
//!   [`Sound`].

use std::time::Duration;

use bytes::Bytes;

use super::browser::Browser;
use super::wire;
use crate::audio::AudioFormat;
use crate::audio::passthrough::Passed;
use crate::calls::carrier::{Capabilities, Carrier, Ignored, LegCommand, LegMessage, Marks, Media};
use crate::transport::{Frame, Outgoing};

/// The sound of such a leg, both ways: what the models take as well.
pub const RATE: u32 = 24_000;

/// The length of a packet that is sent.
const FRAME: Duration = Duration::from_millis(20);

/// The length of the time in front of sound.
const TIME: usize = 8;

/// The codec of one line.
#[derive(Debug)]
pub struct WebRtcPage {
    page: Browser,
    has_started: bool,
}

/// What stands in front of samples, of a packet with its duration, and of one that is missing.
const SAMPLES: u8 = 0;
const PACKET: u8 = 1;
const GAP: u8 = 2;

/// A piece of sound between the codec and whoever drives the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sound<'a> {
    /// 16 bits, little endian.
    Samples(&'a [u8]),
    Opus(Passed),
}

impl<'a> Sound<'a> {
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Samples(samples) => {
                out.push(SAMPLES);
                out.extend_from_slice(samples);
            }
            Self::Opus(packet) => {
                let kind = packet.payload.as_ref().map_or(GAP, |_| PACKET);
                out.push(kind);
                out.extend_from_slice(&packet.ticks.to_le_bytes());
                out.extend_from_slice(packet.payload.as_deref().unwrap_or_default());
            }
        }
    }

    /// `None`: it is no such piece.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        if *kind == SAMPLES {
            return Some(Self::Samples(rest));
        }
        let (ticks, payload) = rest.split_first_chunk::<4>()?;
        let payload = (*kind == PACKET).then(|| Bytes::copy_from_slice(payload));
        let ticks = u32::from_le_bytes(*ticks);
        Some(Self::Opus(Passed { payload, ticks }))
    }
}

/// Sound as [`WebRtcPage`] reads it.
pub fn timed_sound(at_ms: u64, sound: &Sound<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&at_ms.to_le_bytes());
    sound.append_to(out);
}

/// The start of a call whose page cannot say it.
pub fn start_of(call_id: &str) -> String {
    format!(r#"{{"type":"start","call_id":"{call_id}","channel":false}}"#)
}

/// What a page is told whose call is not taken, by the code that would close its WebSocket.
pub fn refusal_of(code: u16, reason: &str) -> Option<String> {
    let reason = wire::quoted(reason);
    (code != 1000).then(|| format!(r#"{{"type":"end","reason":{reason},"code":{code}}}"#))
}

impl Default for WebRtcPage {
    fn default() -> Self {
        Self {
            page: Browser::without_reports(),
            has_started: false,
        }
    }
}

impl Carrier for WebRtcPage {
    fn name(&self) -> &'static str {
        // A page may go on over a WebSocket, and come back.
        self.page.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            far_buffer: None,
            marks: Marks::None,
            whole_frames: Some(FRAME),
            fills_pauses: false,
            close_codes: false,
            packets: true,
            ..self.page.capabilities()
        }
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let Frame::Binary(sound) = frame else {
            let has_started = &mut self.has_started;
            return self.page.read(frame, &mut |message| {
                take(match message {
                    LegMessage::Started(started)
                        if started.format != (AudioFormat::Pcm { rate: RATE }) =>
                    {
                        LegMessage::Unusable(
                            "sample_rate: over WebRTC the sound is Opus; leave it out".to_owned(),
                        )
                    }
                    LegMessage::Started(started) => {
                        *has_started = true;
                        LegMessage::Started(started)
                    }
                    other => other,
                });
            });
        };
        let Some((time, sound)) = sound.split_first_chunk::<TIME>() else {
            return take(LegMessage::Ignored(Ignored::Lacks("its time")));
        };
        let at_ms = u64::from_le_bytes(*time);
        let Some(sound) = Sound::read(sound) else {
            return take(LegMessage::Ignored(Ignored::BadSound));
        };
        if !self.has_started {
            return take(LegMessage::Ignored(Ignored::BeforeStart));
        }
        take(match sound {
            Sound::Samples(sound) => LegMessage::Media(Media {
                sound,
                number: None,
                at_ms: Some(at_ms),
            }),
            Sound::Opus(packet) => LegMessage::Packet(packet, at_ms),
        });
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        match command {
            LegCommand::Sound(sound) => out.push(written(&Sound::Samples(sound))),
            LegCommand::Packet(packet) => out.push(written(&Sound::Opus(packet.clone()))),
            LegCommand::Mark(_) | LegCommand::Clear | LegCommand::Pause | LegCommand::Resume => {}
            said => self.page.write(said, out),
        }
    }
}

fn written(sound: &Sound<'_>) -> Outgoing {
    let mut bytes = Vec::new();
    sound.append_to(&mut bytes);
    Outgoing::Binary(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::carriers::tests::{said, said_by, texts};

    const START: &str =
        r#"{"type":"start","call_id":"0123456789abcdef","parameters":{"room":"12"}}"#;

    fn sound(at_ms: u64, samples: &[i16]) -> Vec<u8> {
        let mut out = vec![7];
        let sound = Sound::Samples(bytemuck::cast_slice(samples));
        timed_sound(at_ms, &sound, &mut out);
        out
    }

    #[test]
    fn packets_and_what_is_missing_pass_as_they_are_both_ways() {
        let mut codec = WebRtcPage::default();
        said(&mut codec, START);
        let gap = Passed {
            payload: None,
            ticks: 480,
        };
        for packet in [Passed::SILENCE, gap] {
            let mut out = Vec::new();
            timed_sound(20, &Sound::Opus(packet.clone()), &mut out);
            let mut heard = None;
            codec.read(Frame::Binary(&out), &mut |message| match message {
                LegMessage::Packet(packet, at_ms) => heard = Some((packet, at_ms)),
                other => panic!("{other:?}"),
            });
            assert_eq!(heard, Some((packet.clone(), 20)));
            let mut written = Vec::new();
            codec.write(LegCommand::Packet(&packet), &mut written);
            let [Outgoing::Binary(bytes)] = &written[..] else {
                panic!("{written:?}");
            };
            assert_eq!(Sound::read(bytes), Some(Sound::Opus(packet)));
        }
        let bad = [&20_u64.to_le_bytes()[..], &[PACKET, 1]].concat();
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&bad)),
            ["ignored BadSound"]
        );
    }

    #[test]
    fn what_a_page_says_is_read_as_over_its_other_line() {
        let mut codec = WebRtcPage::default();
        let early = said_by(&mut codec, Frame::Binary(&sound(0, &[1])));
        assert_eq!(early, ["ignored BeforeStart"]);
        assert_eq!(
            said(&mut codec, START),
            [concat!(
                "started 0123456789abcdef 0123456789abcdef audio/pcm at 24000 Hz from - ",
                r#"{"room":"12"}"#
            )]
        );
        let heard = said_by(&mut codec, Frame::Binary(&sound(1_040, &[1, -1])));
        assert_eq!(heard, ["sound [1, 0, 255, 255] - 1040"]);
        assert_eq!(said(&mut codec, r#"{"type":"end"}"#), ["stopped"]);
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[0; 7])),
            [r#"ignored Lacks("its time")"#]
        );
    }

    #[test]
    fn a_page_cannot_choose_a_format() {
        let mut codec = WebRtcPage::default();
        let start = START.replace("\"parameters\"", "\"sample_rate\":16000,\"parameters\"");
        let lines = said(&mut codec, &start);
        assert!(lines[0].starts_with("refused sample_rate"), "{lines:?}");
    }

    #[test]
    fn a_call_without_a_data_channel_starts_by_its_id() {
        let mut codec = WebRtcPage::default();
        let lines = said(&mut codec, &start_of("0123456789abcdef"));
        assert!(
            lines[0].starts_with("started 0123456789abcdef"),
            "{lines:?}"
        );
        assert!(!codec.capabilities().messages);
    }

    #[test]
    fn a_refusal_has_the_code_that_closes_a_websocket() {
        assert_eq!(refusal_of(1000, ""), None);
        let told = r#"{"type":"end","reason":"too many \"calls\"","code":1013}"#;
        assert_eq!(
            refusal_of(1013, "too many \"calls\"").as_deref(),
            Some(told)
        );
    }

    #[test]
    fn nothing_is_cleared_or_marked_for_this_side_paces() {
        let mut codec = WebRtcPage::default();
        said(&mut codec, START);
        let written = texts(
            &mut codec,
            &[
                LegCommand::Clear,
                LegCommand::Pause,
                LegCommand::Resume,
                LegCommand::Message(r#"{"type":"note"}"#),
                LegCommand::HangUp("over"),
            ],
        );
        assert_eq!(
            written,
            [r#"{"type":"note"}"#, r#"{"type":"end","reason":"over"}"#]
        );
    }
}
