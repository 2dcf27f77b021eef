//! A web page over WebRTC: sound over RTP, and the control of [`browser`](super::browser) over a data
//! channel.
//!
//! Whoever drives the line turns packets into sound and back, and this codec says what the messages mean:
//!
//! - The page's `start` is the same, without a codec. One that has no data channel says nothing; the driver
//!   starts the call for it.
//! - This side sends each frame when it is due. What was sent is heard, and what was not sent can be dropped:
//!   there are no marks, no reports, and nothing to clear.
//! - In front of the sound that the driver passes on stands its time, in milliseconds, 64 bits.

use std::time::Duration;

use super::browser::Browser;
use super::wire;
use crate::audio::AudioFormat;
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

/// Sound as [`WebRtcPage`] reads it.
pub fn timed_sound(at_ms: u64, samples: &[i16], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&at_ms.to_le_bytes());
    out.extend_from_slice(bytemuck::cast_slice(samples));
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
        if !self.has_started {
            return take(LegMessage::Ignored(Ignored::BeforeStart));
        }
        take(LegMessage::Media(Media {
            sound,
            number: None,
            at_ms: Some(u64::from_le_bytes(*time)),
        }));
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        match command {
            LegCommand::Sound(sound) => out.push(Outgoing::Binary(sound.to_vec())),
            LegCommand::Mark(_) | LegCommand::Clear | LegCommand::Pause | LegCommand::Resume => {}
            said => self.page.write(said, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::carriers::tests::{said, said_by, texts};

    const START: &str =
        r#"{"type":"start","call_id":"0123456789abcdef","parameters":{"room":"12"}}"#;

    fn sound(at_ms: u64, samples: &[i16]) -> Vec<u8> {
        let mut out = vec![7];
        timed_sound(at_ms, samples, &mut out);
        out
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
