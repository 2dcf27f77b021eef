//! jambonz' `listen`, with `bidirectionalAudio` in its streaming mode: linear PCM, little endian, in binary messages;
//! control in JSON texts. The sub-protocol is `audio.jambonz.org`.
//!
//! Source: docs.jambonz.org, "listen", and `lib/tasks/listen.js` of its feature server. Its traps:
//!
//! - The first text tells who calls, and the rate of what comes. The rate of what goes
//!   (`bidirectionalAudio.sampleRate`) is not told: the option `format` does, where it is another one.
//! - What is in `metadata` stands beside jambonz' own fields.
//! - A mark comes back with `playout` or `cleared`: the latter was not played, and is no mark of ours. At most
//!   30 may be on their way.
//! - The duration of a digit counts samples at 8 kHz, not milliseconds.
//! - `mixType` must be `mono`: two channels in one stream are no caller.
//! - `disconnect` ends the `listen`; the call ends where no verb follows it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::wire::{self, Loose, MARK, TextOrNumber};
use crate::audio::AudioFormat;
use crate::audio::convert::Converter;
use crate::calls::carrier::{
    Capabilities, Carrier, Ignored, LegCommand, LegMessage, Marks, Started,
};
use crate::transport::{Frame, Outgoing};

/// The codec of one connection.
#[derive(Debug, Default)]
pub struct Jambonz {
    /// What jambonz is configured to be sent; `None`: the same as it sends.
    sent_format: Option<AudioFormat>,
    format: Option<AudioFormat>,
    /// For sound that goes out, where its format is another one.
    converter: Option<Converter>,
}

#[derive(Deserialize)]
struct Message<'a> {
    /// Of what jambonz tells.
    #[serde(borrow, default, rename = "type")]
    kind: TextOrNumber<'a>,
    /// Of a digit.
    #[serde(borrow, default)]
    event: TextOrNumber<'a>,
    #[serde(borrow, default)]
    dtmf: TextOrNumber<'a>,
    #[serde(default)]
    duration: Loose,
    #[serde(borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    name: TextOrNumber<'a>,
    #[serde(borrow, default)]
    event: TextOrNumber<'a>,
}

impl Jambonz {
    /// `sent_format`: linear PCM at the rate of `bidirectionalAudio.sampleRate`.
    pub fn new(sent_format: Option<AudioFormat>) -> Self {
        Self {
            sent_format,
            ..Self::default()
        }
    }

    fn start(&mut self, text: &str, take: &mut dyn FnMut(LegMessage<'_>)) {
        let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(text) else {
            return take(LegMessage::Ignored(Ignored::NotOfTheProtocol));
        };
        let mut text_of = |names: &[&str]| {
            let found = names.iter().filter_map(|name| fields.shift_remove(*name));
            let texts = found.filter_map(|value| match value {
                Value::String(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            // All of them go.
            texts.collect::<Vec<_>>().into_iter().next()
        };
        if let Some(mix) = text_of(&["mixType", "mix_type"]).filter(|mix| mix == "stereo") {
            let why = format!("the stream is {mix}: set mixType of listen to mono");
            return take(LegMessage::Unusable(why));
        }
        let rate = text_of(&["sampleRate", "sample_rate"]);
        let rate = Loose::of(rate.and_then(|rate| rate.parse().ok())).0;
        let format = match wire::format("L16", rate) {
            Ok(format) => format,
            Err(why) => {
                let why = format!("{why}: set sampleRate of listen to 8000, 16000 or 24000");
                return take(LegMessage::Unusable(why));
            }
        };
        let sent = self.sent_format.unwrap_or(format);
        self.converter = Converter::new(format, sent);
        let is_linear = matches!(sent, AudioFormat::Pcm { .. });
        if !is_linear || (sent != format && self.converter.is_none()) {
            let why = format!("what is sent must be linear PCM at a common rate, not {sent}");
            return take(LegMessage::Unusable(why));
        }
        let id = text_of(&["callSid", "call_sid"]).unwrap_or_default();
        let from = text_of(&["from"]);
        let to = text_of(&["to"]);
        let direction = text_of(&["direction"]);
        self.format = Some(format);
        take(LegMessage::Started(Box::new(Started {
            call_id: id.clone(),
            stream_id: id,
            caller: from,
            callee: to,
            direction,
            parameters: fields,
            format,
        })));
    }
}

impl Carrier for Jambonz {
    fn name(&self) -> &'static str {
        "jambonz"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // How much it keeps is not written down.
            far_buffer: Some(Duration::from_secs(10)),
            // They come back, but say that they were not played.
            marks: Marks::LostOnClear,
            max_marks: 30,
            hang_up: true,
            ..Capabilities::MEDIA_STREAM
        }
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(sound) => return wire::binary_sound(self.format, sound, take),
        };
        if self.format.is_none() {
            return self.start(text, take);
        }
        let message: Message<'_> = match wire::read(frame) {
            Ok(message) => message,
            Err(why) => return take(LegMessage::Ignored(why)),
        };
        let kind = message.kind.as_str().or(message.event.as_str());
        let message = match kind {
            None => LegMessage::Ignored(Ignored::Lacks("type")),
            Some("mark") => {
                let played = message.data.filter(|data| !data.event.is("cleared"));
                match played.and_then(|data| data.name.mark()) {
                    Some(id) => LegMessage::Mark(id),
                    None => return,
                }
            }
            Some("dtmf") => match message.dtmf.digit() {
                Some(digit) => LegMessage::Dtmf {
                    digit,
                    duration: message.duration.0.map(|at| Duration::from_millis(at / 8)),
                },
                None => LegMessage::Ignored(Ignored::Lacks("dtmf")),
            },
            Some("playDone") => return,
            Some("error") => LegMessage::Ignored(Ignored::Reported(wire::brief(text))),
            Some(kind) => wire::unknown(kind),
        };
        take(message);
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        let text = match command {
            LegCommand::Sound(sound) => {
                let sound = match &mut self.converter {
                    Some(converter) => converter.convert(sound),
                    None => sound,
                };
                if !sound.is_empty() {
                    out.push(Outgoing::Binary(sound.to_vec()));
                }
                return;
            }
            LegCommand::Mark(id) => {
                format!(r#"{{"type":"mark","data":{{"name":"{MARK}{id}"}}}}"#)
            }
            LegCommand::Clear => {
                if let Some(converter) = &mut self.converter {
                    converter.reset();
                }
                r#"{"type":"killAudio"}"#.to_owned()
            }
            LegCommand::HangUp(_) => r#"{"type":"disconnect"}"#.to_owned(),
            // Not among the capabilities.
            LegCommand::Dtmf(_)
            | LegCommand::Pause
            | LegCommand::Resume
            | LegCommand::Started { .. }
            | LegCommand::Packet(_)
            | LegCommand::Message(_) => return,
        };
        out.push(Outgoing::Text(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::carriers::tests::{said, said_by, texts};

    const START: &str = r#"{"sampleRate":16000,"mixType":"mono","callSid":"ca1","direction":"inbound",
        "from":"+15550100","to":"+15550199","callId":"sip1","tenant":"7"}"#;

    #[test]
    fn the_documented_messages_are_read() {
        let mut codec = Jambonz::default();
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[0; 2])),
            ["ignored BeforeStart"]
        );
        assert_eq!(
            said(&mut codec, START),
            [concat!(
                "started ca1 ca1 audio/pcm at 16000 Hz from +15550100 ",
                r#"{"callId":"sip1","tenant":"7"}"#
            )]
        );
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[1, 2])),
            ["sound [1, 2] - -"]
        );
        let dtmf = r#"{"event":"dtmf","dtmf":"1","duration":"1600"}"#;
        assert_eq!(said(&mut codec, dtmf), ["digit 1 Some(200ms)"]);
        let mark = r#"{"type":"mark","data":{"name":"stapes-2","event":"playout"}}"#;
        assert_eq!(said(&mut codec, mark), ["mark 2"]);
        let cleared = mark.replace("playout", "cleared");
        assert!(said(&mut codec, &cleared).is_empty());
        assert!(said(&mut codec, r#"{"type":"playDone","data":{"id":"x"}}"#).is_empty());
        assert_eq!(said(&mut codec, "{}"), ["ignored Lacks(\"type\")"]);
        assert_eq!(
            said(&mut codec, r#"{"type":"new"}"#),
            ["ignored UnknownKind(\"new\")"]
        );
    }

    #[test]
    fn commands_are_the_documented_messages() {
        let mut codec = Jambonz::default();
        said(&mut codec, START);
        let commands = [
            LegCommand::Sound(&[0; 641 * 2]),
            LegCommand::Mark(3),
            LegCommand::Clear,
            LegCommand::HangUp(""),
        ];
        assert_eq!(
            texts(&mut codec, &commands),
            [
                "1282 bytes",
                r#"{"type":"mark","data":{"name":"stapes-3"}}"#,
                r#"{"type":"killAudio"}"#,
                r#"{"type":"disconnect"}"#,
            ]
        );
    }

    #[test]
    fn what_goes_out_has_the_rate_that_was_configured() {
        let mut codec = Jambonz::new(Some(AudioFormat::Pcm { rate: 8_000 }));
        said(&mut codec, START);
        let mut bytes = 0;
        for _ in 0..50 {
            for written in texts(&mut codec, &[LegCommand::Sound(&[0; 640])]) {
                let length = written.strip_suffix(" bytes").map(str::parse::<usize>);
                bytes += length.unwrap().unwrap();
            }
        }
        assert!((15_500..=16_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn two_channels_and_odd_rates_are_refused_with_a_remedy() {
        for (from, to) in [("mono", "stereo"), ("16000", "15999")] {
            let refused = said(&mut Jambonz::default(), &START.replace(from, to));
            assert!(refused[0].contains("of listen to"), "{refused:?}");
        }
    }
}
