//! A web page over a WebSocket, as `stapes.js` speaks it: sound in binary messages, control in JSON texts.
//!
//! The wire is described in `docs/reference/browser-wire.md`. What is special about it:
//!
//! - The page reports what it has played, in samples, in front of each message of sound. It counts from the
//!   last `clear`, whose number it repeats: a report from before a `clear` says nothing of what is sent after it.
//! - The page chooses the call's id, so that it finds its call when it dials again. Only a long one is
//!   taken: who guesses it could take over the call.
//! - A client that is no page may say that it reports nothing: its messages are sound alone, and the clock
//!   tells what it has played.
//! - Sound is linear PCM, or Opus in packets of 20 ms, which is decoded and encoded here.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::opus_packets::{self, OpusPackets};
use super::wire::{self, Loose, Object, TextOrNumber};
use crate::audio::AudioFormat;
use crate::calls::carrier::{
    Capabilities, Carrier, Ignored, LegCommand, LegMessage, Marks, Media, Started,
};
use crate::transport::{Frame, Outgoing};

/// The sub-protocol of the WebSocket.
pub const SUBPROTOCOL: &str = "stapes.browser.v1";

/// The number of the `clear` and what was played, 32 bits each.
const HEADER: usize = 8;

/// The shortest id of a call, in characters.
const MIN_ID: usize = 16;

/// The longest id of a call, in characters.
const MAX_ID: usize = 128;

/// The longest line that a caller may type, in characters.
const MAX_LINE: usize = 4_000;

/// The longest message for the application, in bytes.
const MAX_DATA: usize = 16 * 1024;

/// The codec of one connection.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "states that are independent of each other"
)]
pub struct Browser {
    format: Option<AudioFormat>,
    opus: Option<Box<OpusPackets>>,
    /// How many times the page was told to clear.
    clears: u32,
    /// Samples that were sent since then.
    sent: u64,
    /// Whether the page has played all of them, as far as it has said.
    is_played: bool,
    /// It reports nothing, and returns no marks.
    is_silent: bool,
    is_paused: bool,
    /// It takes no messages.
    is_mute: bool,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: TextOrNumber<'a>,
    #[serde(default)]
    id: Loose,
    #[serde(borrow, default)]
    text: TextOrNumber<'a>,
    #[serde(borrow, default, deserialize_with = "wire::present")]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Start<'a> {
    #[serde(borrow, default)]
    call_id: TextOrNumber<'a>,
    #[serde(borrow, default)]
    codec: TextOrNumber<'a>,
    #[serde(default)]
    sample_rate: Loose,
    reports: Option<bool>,
    channel: Option<bool>,
    #[serde(default)]
    parameters: Object,
}

impl Browser {
    /// A page whose line tells what it has played.
    #[cfg(feature = "webrtc")]
    pub(super) fn without_reports() -> Self {
        Self {
            is_silent: true,
            ..Self::default()
        }
    }

    fn start(&mut self, text: &str, take: &mut dyn FnMut(LegMessage<'_>)) {
        let Ok(start) = serde_json::from_str::<Start<'_>>(text) else {
            return take(LegMessage::Ignored(Ignored::NotOfTheProtocol));
        };
        let id = start.call_id.owned().unwrap_or_default();
        let is_printable = id.chars().all(|it| it.is_ascii_graphic());
        if !is_printable || !(MIN_ID..=MAX_ID).contains(&id.len()) {
            let why = format!(
                "call_id must have {MIN_ID} to {MAX_ID} printable ASCII characters: use a UUID"
            );
            return take(LegMessage::Unusable(why));
        }
        let rate = start.sample_rate.0.unwrap_or(24_000);
        let format = match wire::format("L16", Some(rate)) {
            Ok(format) => format,
            Err(why) => return take(LegMessage::Unusable(format!("sample_rate: {why}"))),
        };
        match start.codec.as_str().unwrap_or("pcm") {
            "pcm" => {}
            "opus" => match OpusPackets::new(format.sample_rate()) {
                Ok(opus) => self.opus = Some(Box::new(opus)),
                Err(why) => return take(LegMessage::Unusable(why)),
            },
            other => {
                let why = format!("codec is {:?}: use pcm or opus", wire::brief(other));
                return take(LegMessage::Unusable(why));
            }
        }
        self.is_mute = start.channel == Some(false);
        self.is_silent |= start.reports == Some(false);
        self.format = Some(format);
        let parameters = start.parameters.0;
        take(LegMessage::Started(Box::new(Started {
            call_id: id.clone(),
            stream_id: id,
            caller: wire::parameter(&parameters, &["from", "caller"]),
            callee: None,
            direction: Some("inbound".to_owned()),
            parameters,
            format,
        })));
    }

    fn sound(&mut self, message: &[u8], take: &mut dyn FnMut(LegMessage<'_>)) {
        let Some(format) = self.format else {
            return take(LegMessage::Ignored(Ignored::BeforeStart));
        };
        let header = if self.is_silent { 0 } else { HEADER };
        let Some((header, sound)) = message.split_at_checked(header) else {
            return take(LegMessage::Ignored(Ignored::Lacks("its header")));
        };
        if let ([clears, played], []) = header.as_chunks() {
            let (clears, played) = (u32::from_le_bytes(*clears), u32::from_le_bytes(*played));
            self.report(clears, played, format, take);
        }
        if sound.is_empty() {
            return;
        }
        match &mut self.opus {
            None => wire::binary_sound(Some(format), sound, take),
            Some(opus) => match opus.decode(sound) {
                Some(sound) => take(LegMessage::Media(Media {
                    sound,
                    number: None,
                    at_ms: None,
                })),
                None => take(LegMessage::Ignored(Ignored::BadSound)),
            },
        }
    }

    /// The page has played so many samples since that `clear`.
    fn report(
        &mut self,
        clears: u32,
        played: u32,
        format: AudioFormat,
        take: &mut dyn FnMut(LegMessage<'_>),
    ) {
        if clears != self.clears || self.is_played {
            return;
        }
        let unplayed = self.sent.saturating_sub(u64::from(played));
        self.is_played = unplayed == 0;
        let ms = unplayed as f64 * 1000.0 / f64::from(format.sample_rate());
        take(LegMessage::Unplayed(ms));
    }
}

impl Carrier for Browser {
    fn name(&self) -> &'static str {
        "browser"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            marks: if self.is_silent {
                Marks::None
            } else {
                Marks::ReturnedOnClear
            },
            whole_frames: self.opus.is_some().then_some(opus_packets::LENGTH),
            pause: true,
            hang_up: !self.is_mute,
            messages: !self.is_mute,
            ..Capabilities::MEDIA_STREAM
        }
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(message) => return self.sound(message, take),
        };
        let message: Message<'_> = match wire::read(frame) {
            Ok(message) => message,
            Err(why) => return take(LegMessage::Ignored(why)),
        };
        let has_started = self.format.is_some();
        take(match message.kind.as_str() {
            None => LegMessage::Ignored(Ignored::Lacks("type")),
            Some("start") if has_started => LegMessage::Ignored(Ignored::SecondStart),
            Some("start") => return self.start(text, take),
            Some(_) if !has_started => LegMessage::Ignored(Ignored::BeforeStart),
            Some("mark") => match message.id.0 {
                Some(id) => LegMessage::Mark(id),
                None => LegMessage::Ignored(Ignored::Lacks("id")),
            },
            Some("interrupt") => LegMessage::Message(text),
            Some("say") => match message.text.as_str().map(|it| it.chars().count()) {
                None => LegMessage::Ignored(Ignored::Lacks("text")),
                Some(length) if length > MAX_LINE => {
                    LegMessage::Ignored(Ignored::TooLong("a line of text"))
                }
                Some(_) => LegMessage::Message(text),
            },
            Some("message") => match message.data {
                None => LegMessage::Ignored(Ignored::Lacks("data")),
                Some(data) if data.get().len() > MAX_DATA => {
                    LegMessage::Ignored(Ignored::TooLong("a message"))
                }
                Some(_) => LegMessage::Message(text),
            },
            Some("end") => LegMessage::Stopped("the page hung up".to_owned()),
            Some(kind) => wire::unknown(kind),
        });
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        let Some(format) = self.format else {
            // A call that cannot be taken is ended with its reason.
            if let LegCommand::HangUp(reason) = command {
                out.push(end(reason));
            }
            return;
        };
        let text = match command {
            LegCommand::Sound(sound) => {
                self.sent += match &mut self.opus {
                    None => {
                        out.push(Outgoing::Binary(sound.to_vec()));
                        (sound.len() / format.bytes_per_sample()) as u64
                    }
                    Some(opus) => opus.encode(sound, out),
                };
                self.is_played = false;
                return;
            }
            LegCommand::Started { resumed } => {
                format!(r#"{{"type":"started","resumed":{resumed}}}"#)
            }
            LegCommand::Mark(id) => format!(r#"{{"type":"mark","id":{id}}}"#),
            LegCommand::Clear => {
                self.clears = self.clears.wrapping_add(1);
                self.sent = 0;
                let clears = self.clears;
                let clear = format!(r#"{{"type":"clear","generation":{clears}}}"#);
                if std::mem::take(&mut self.is_paused) {
                    out.push(Outgoing::Text(clear));
                    r#"{"type":"resume"}"#.to_owned()
                } else {
                    clear
                }
            }
            LegCommand::Pause => {
                self.is_paused = true;
                r#"{"type":"pause"}"#.to_owned()
            }
            LegCommand::Resume => {
                self.is_paused = false;
                r#"{"type":"resume"}"#.to_owned()
            }
            LegCommand::HangUp(reason) => return out.push(end(reason)),
            LegCommand::Message(json) => json.to_owned(),
            // Not among the capabilities.
            LegCommand::Dtmf(_) | LegCommand::Packet(_) => return,
        };
        out.push(Outgoing::Text(text));
    }
}

fn end(reason: &str) -> Outgoing {
    let reason = wire::quoted(reason);
    Outgoing::Text(format!(r#"{{"type":"end","reason":{reason}}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::carriers::tests::{said, said_by, texts};

    const START: &str = r#"{"type":"start","call_id":"0123456789abcdef","codec":"pcm",
        "sample_rate":24000,"parameters":{"room":"12"}}"#;

    fn message(clears: u32, played: u32, sound: &[u8]) -> Vec<u8> {
        let header = [clears.to_le_bytes(), played.to_le_bytes()].concat();
        [&header[..], sound].concat()
    }

    fn sent(codec: &mut Browser, clears: u32, played: u32, sound: &[u8]) -> Vec<String> {
        said_by(codec, Frame::Binary(&message(clears, played, sound)))
    }

    fn started(start: &str) -> Browser {
        let mut codec = Browser::default();
        let lines = said(&mut codec, start);
        assert!(lines[0].starts_with("started"), "{lines:?}");
        codec
    }

    #[test]
    fn what_a_page_says_is_read() {
        let mut codec = Browser::default();
        assert_eq!(
            said(&mut codec, r#"{"type":"end"}"#),
            ["ignored BeforeStart"]
        );
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[0; 10])),
            ["ignored BeforeStart"]
        );
        assert_eq!(
            said(&mut codec, START),
            [concat!(
                "started 0123456789abcdef 0123456789abcdef audio/pcm at 24000 Hz from - ",
                r#"{"room":"12"}"#
            )]
        );
        assert_eq!(said(&mut codec, r#"{"type":"mark","id":7}"#), ["mark 7"]);
        assert_eq!(said(&mut codec, r#"{"type":"end"}"#), ["stopped"]);
        for passed in [
            r#"{"type":"interrupt"}"#,
            r#"{"type":"say","text":"hello"}"#,
            r#"{"type":"message","data":{"a":[1]}}"#,
            r#"{"type":"message","data":null}"#,
        ] {
            assert_eq!(said(&mut codec, passed), [format!("message {passed}")]);
        }
        for (ignored, why) in [
            ("{}", r#"Lacks("type")"#),
            (START, "SecondStart"),
            (r#"{"type":"mark"}"#, r#"Lacks("id")"#),
            (r#"{"type":"say"}"#, r#"Lacks("text")"#),
            (r#"{"type":"message"}"#, r#"Lacks("data")"#),
            (r#"{"type":"sing"}"#, r#"UnknownKind("sing")"#),
            ("[", "NotOfTheProtocol"),
        ] {
            assert_eq!(said(&mut codec, ignored), [format!("ignored {why}")]);
        }
        let long = format!(r#"{{"type":"say","text":"{}"}}"#, "x".repeat(MAX_LINE + 1));
        assert_eq!(
            said(&mut codec, &long),
            [r#"ignored TooLong("a line of text")"#]
        );
    }

    #[test]
    fn sound_comes_behind_a_header() {
        let mut codec = started(START);
        assert_eq!(sent(&mut codec, 0, 0, &[1, 2])[1..], ["sound [1, 2] - -"]);
        assert_eq!(sent(&mut codec, 0, 0, &[1])[..], ["ignored BadSound"]);
        assert_eq!(sent(&mut codec, 0, 0, &[]), [""; 0]);
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[0; 7])),
            [r#"ignored Lacks("its header")"#]
        );
    }

    #[test]
    fn a_client_that_reports_nothing_sends_sound_alone_and_is_sent_no_marks() {
        let silent = START.replace("\"codec\"", "\"reports\":false,\"codec\"");
        let mut codec = started(&silent);
        assert_eq!(codec.capabilities().marks, Marks::None);
        let sound = said_by(&mut codec, Frame::Binary(&[1, 2, 3, 4]));
        assert_eq!(sound, ["sound [1, 2, 3, 4] - -"]);
    }

    #[test]
    fn reports_count_from_the_last_clear_and_older_ones_say_nothing() {
        let mut codec = started(START);
        texts(&mut codec, &[LegCommand::Sound(&vec![0; 48_000])]);
        assert_eq!(sent(&mut codec, 0, 6_000, &[]), ["unplayed 750"]);
        let cleared = texts(
            &mut codec,
            &[LegCommand::Clear, LegCommand::Sound(&[0; 4_800])],
        );
        assert_eq!(cleared[0], r#"{"type":"clear","generation":1}"#);
        assert_eq!(sent(&mut codec, 0, 12_000, &[]), [""; 0]);
        assert_eq!(sent(&mut codec, 1, 0, &[]), ["unplayed 100"]);
        assert_eq!(sent(&mut codec, 1, 9_999, &[]), ["unplayed 0"]);
        assert_eq!(sent(&mut codec, 1, 9_999, &[]), [""; 0]);
    }

    #[cfg(feature = "opus")]
    #[test]
    fn opus_is_decoded_and_encoded_in_packets_of_20_ms() {
        use crate::audio::opus::{EncoderSettings, OpusEncoder};

        let mut codec = started(&START.replace("pcm", "opus"));
        let mut far = OpusEncoder::new(24_000, EncoderSettings::default()).unwrap();
        let mut packet = Vec::new();
        far.encode_i16(&[1_000; 480], &mut packet).unwrap();
        let lines = sent(&mut codec, 0, 0, &packet);
        assert!(lines.last().unwrap().starts_with("sound ["), "{lines:?}");
        assert_eq!(
            sent(&mut codec, 0, 0, &[0xff; 3]).last().unwrap(),
            "ignored BadSound"
        );
        let packets = texts(&mut codec, &[LegCommand::Sound(&[1; 3 * 960])]);
        assert_eq!(packets.len(), 3);
        assert_eq!(sent(&mut codec, 0, 480, &[]), ["unplayed 40"]);
    }

    #[test]
    fn what_cannot_be_used_is_said_with_a_remedy() {
        for (from, to, why) in [
            ("0123456789abcdef", "7", "use a UUID"),
            ("pcm", "mp3", "use pcm or opus"),
            ("24000", "24001", "sample_rate"),
        ] {
            let lines = said(&mut Browser::default(), &START.replace(from, to));
            assert!(lines[0].starts_with("refused"), "{lines:?}");
            assert!(lines[0].contains(why), "{lines:?}");
        }
        let rate = START.replace("pcm", "opus").replace("24000", "44100");
        assert!(said(&mut Browser::default(), &rate)[0].contains("Opus"));
    }

    #[test]
    fn commands_are_json_and_reasons_are_quoted() {
        let mut codec = started(START);
        let commands = [
            LegCommand::Started { resumed: true },
            LegCommand::Mark(3),
            LegCommand::Pause,
            LegCommand::Clear,
            LegCommand::Message(r#"{"type":"event"}"#),
            LegCommand::HangUp("\"busy\""),
        ];
        assert_eq!(
            texts(&mut codec, &commands),
            [
                r#"{"type":"started","resumed":true}"#,
                r#"{"type":"mark","id":3}"#,
                r#"{"type":"pause"}"#,
                r#"{"type":"clear","generation":1}"#,
                r#"{"type":"resume"}"#,
                r#"{"type":"event"}"#,
                r#"{"type":"end","reason":"\"busy\""}"#,
            ]
        );
    }
}
