//! Telnyx media streaming: JSON texts over a WebSocket, RTP payloads without their headers in base64.
//!
//! Source: developers.telnyx.com, "Media Streaming over `WebSockets`". Its traps:
//!
//! - The stream must be asked for with `stream_bidirectional_mode: "rtp"`, or nothing of ours is played.
//! - What comes has the codec of the call unless `stream_codec` says otherwise (PCMA outside of North
//!   America), and `start` tells it. What goes must have `stream_bidirectional_codec` (PCMU where it is not
//!   given), and nothing on the wire tells that: the option `format` does.
//! - The order of packets is not guaranteed: `chunk` tells it.
//! - L16 is big endian by RFC 3551. In practice it is little endian both ways, as several who use it write;
//!   the pages do not say. Little endian is the default, an option turns it.
//! - What is sent has no `stream_id`, and pieces of 20 ms to 30 s.
//! - Marks that were queued come back on a `clear`.
//! - No message hangs up; the end of the WebSocket ends the stream, not the call.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::media_stream::{DtmfMessage, MarkMessage, MediaMessage, format_of_stream, stopped};
use super::wire::{self, Base64Sound, Loose, MARK, Object, TextOrNumber};
use crate::audio::AudioFormat;
use crate::audio::convert::Converter;
use crate::calls::carrier::{Capabilities, Carrier, Ignored, LegCommand, LegMessage, Started};
use crate::transport::{Frame, Outgoing};

/// What helps where the format cannot be used.
const REMEDY: &str = "set stream_codec to PCMU, PCMA or L16";

/// The codec of one stream.
#[derive(Debug, Default)]
pub struct Telnyx {
    /// What Telnyx is configured to be sent; `None`: the same as it sends.
    sent_format: Option<AudioFormat>,
    stream_id: Option<String>,
    format: Option<AudioFormat>,
    /// For sound that goes out, where its format is another one.
    converter: Option<Converter>,
    sound: Base64Sound,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    event: TextOrNumber<'a>,
    #[serde(borrow, default)]
    stream_id: TextOrNumber<'a>,
    #[serde(borrow)]
    media: Option<MediaMessage<'a>>,
    #[serde(borrow)]
    mark: Option<MarkMessage<'a>>,
    #[serde(borrow)]
    dtmf: Option<DtmfMessage<'a>>,
    #[serde(borrow)]
    start: Option<StartMessage<'a>>,
    #[serde(borrow)]
    payload: Option<ErrorMessage<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ErrorMessage<'a> {
    #[serde(borrow)]
    code: TextOrNumber<'a>,
    #[serde(borrow)]
    title: TextOrNumber<'a>,
    #[serde(borrow)]
    detail: TextOrNumber<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StartMessage<'a> {
    #[serde(borrow)]
    call_control_id: TextOrNumber<'a>,
    #[serde(borrow)]
    call_session_id: TextOrNumber<'a>,
    #[serde(borrow)]
    from: TextOrNumber<'a>,
    #[serde(borrow)]
    to: TextOrNumber<'a>,
    #[serde(borrow)]
    direction: TextOrNumber<'a>,
    client_state: Value,
    tags: Value,
    custom_parameters: Value,
    #[serde(borrow)]
    media_format: Option<FormatMessage<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct FormatMessage<'a> {
    #[serde(borrow)]
    encoding: TextOrNumber<'a>,
    sample_rate: Loose,
    channels: Loose,
}

/// `custom_parameters` as they are, or as a list of names and values; then `client_state` and `tags`.
fn parameters(custom: Value, client_state: Value, tags: Value) -> Map<String, Value> {
    let mut parameters = match custom {
        Value::Array(list) => list
            .into_iter()
            .filter_map(|mut entry| {
                let value = entry.get_mut("value").map(Value::take)?;
                Some((entry.get("name")?.as_str()?.to_owned(), value))
            })
            .collect(),
        Value::Object(map) => map,
        _ => Object::default().0,
    };
    for (name, value) in [("client_state", client_state), ("tags", tags)] {
        if !value.is_null() {
            parameters.insert(name.to_owned(), value);
        }
    }
    parameters
}

impl Telnyx {
    /// `sent_format`: `stream_bidirectional_codec`. `is_big_endian`: the byte order of L16.
    pub fn new(sent_format: Option<AudioFormat>, is_big_endian: bool) -> Self {
        let mut codec = Self {
            sent_format,
            ..Self::default()
        };
        codec.sound.is_big_endian = is_big_endian;
        codec
    }

    fn start(&mut self, message: Message<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let start = message.start.unwrap_or_default();
        let Some(stream_id) = message.stream_id.owned() else {
            return take(LegMessage::Ignored(Ignored::Lacks("stream_id")));
        };
        if self.stream_id.as_ref() == Some(&stream_id) {
            return take(LegMessage::Ignored(Ignored::SecondStart));
        }
        let format = start.media_format.unwrap_or_default();
        if format.channels.0.is_some_and(|channels| channels > 1) {
            let why = "the stream has several channels: set stream_track to inbound_track";
            return take(LegMessage::Unusable(why.to_owned()));
        }
        let name = format.encoding.as_str().unwrap_or("PCMU");
        let format = match wire::format(name, format.sample_rate.0) {
            Ok(format) => format,
            Err(why) => return take(LegMessage::Unusable(format!("{why}: {REMEDY}"))),
        };
        let sent = self.sent_format.unwrap_or(format);
        self.converter = Converter::new(format, sent);
        if sent != format && self.converter.is_none() {
            let why = format!("sound of {format} cannot be turned into {sent}: {REMEDY}");
            return take(LegMessage::Unusable(why));
        }
        self.format = Some(format);
        self.stream_id = Some(stream_id.clone());
        let call_id = start.call_control_id.owned();
        let call_id = call_id.or_else(|| start.call_session_id.owned());
        take(LegMessage::Started(Box::new(Started {
            call_id: call_id.unwrap_or_else(|| stream_id.clone()),
            stream_id,
            caller: start.from.owned(),
            callee: start.to.owned(),
            direction: start.direction.owned(),
            parameters: parameters(start.custom_parameters, start.client_state, start.tags),
            format,
        })));
    }
}

impl Carrier for Telnyx {
    fn name(&self) -> &'static str {
        "telnyx"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // Shorter pieces are not taken.
            whole_frames: Some(std::time::Duration::from_millis(20)),
            reorders: true,
            ..Capabilities::MEDIA_STREAM
        }
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let message: Message<'_> = match wire::read(frame) {
            Ok(message) => message,
            Err(why) => return take(LegMessage::Ignored(why)),
        };
        let Some(event) = message.event.as_str() else {
            return take(LegMessage::Ignored(Ignored::Lacks("event")));
        };
        match event {
            "connected" => return,
            "start" => return self.start(message, take),
            "error" => {
                let error = message.payload.unwrap_or_default();
                let mut text = error.title.as_str().unwrap_or("error").to_owned();
                for (before, part, after) in [(" (", &error.code, ")"), (": ", &error.detail, "")] {
                    if let Some(part) = part.as_str() {
                        // Writing to a string cannot fail.
                        let _ = write!(text, "{before}{part}{after}");
                    }
                }
                let why = Ignored::Reported(wire::brief(&text));
                return take(LegMessage::Ignored(why));
            }
            _ => {}
        }
        let started = self.stream_id.as_deref();
        let format = match format_of_stream(started, self.format, &message.stream_id) {
            Ok(format) => format,
            Err(why) => return take(LegMessage::Ignored(why)),
        };
        match event {
            "media" => MediaMessage::tell(message.media.as_ref(), &mut self.sound, format, take),
            "mark" => {
                if let Some(id) = message.mark.and_then(|mark| mark.name.mark()) {
                    take(LegMessage::Mark(id));
                }
            }
            "dtmf" => take(DtmfMessage::message(message.dtmf.as_ref(), None)),
            "stop" => take(stopped()),
            kind => take(wire::unknown(kind)),
        }
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        let text = match command {
            LegCommand::Sound(sound) => {
                let Some(format) = self.sent_format.or(self.format) else {
                    return;
                };
                let sound = match &mut self.converter {
                    Some(converter) => converter.convert(sound),
                    None => sound,
                };
                if sound.is_empty() {
                    return;
                }
                let before = [r#"{"event":"media","media":{"payload":""#];
                self.sound.text(&before, sound, format, r#""}}"#)
            }
            LegCommand::Mark(id) => {
                format!(r#"{{"event":"mark","mark":{{"name":"{MARK}{id}"}}}}"#)
            }
            LegCommand::Clear => {
                if let Some(converter) = &mut self.converter {
                    converter.reset();
                }
                r#"{"event":"clear"}"#.to_owned()
            }
            // Not among the capabilities.
            LegCommand::Dtmf(_)
            | LegCommand::Pause
            | LegCommand::Resume
            | LegCommand::HangUp(_)
            | LegCommand::Started { .. }
            | LegCommand::Packet(_)
            | LegCommand::Message(_) => {
                return;
            }
        };
        out.push(Outgoing::Text(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::carriers::tests::{said, texts};

    const START: &str = r#"{"event":"start","sequence_number":"1","start":{"user_id":"u1",
        "call_control_id":"v2:abc","call_session_id":"s1","from":"+15550100","to":"+15550199",
        "tags":["a"],"client_state":"aGVsbG8=","custom_parameters":[{"name":"tenant","value":"7"}],
        "media_format":{"encoding":"PCMA","sample_rate":8000,"channels":1}},"stream_id":"st1"}"#;

    #[test]
    fn the_documented_messages_are_read() {
        let mut codec = Telnyx::default();
        assert!(said(&mut codec, r#"{"event":"connected","version":"1.0.0"}"#).is_empty());
        assert_eq!(
            said(&mut codec, START),
            [concat!(
                "started v2:abc st1 audio/pcma from +15550100 ",
                r#"{"tenant":"7","client_state":"aGVsbG8=","tags":["a"]}"#
            )]
        );
        let media = r#"{"event":"media","sequence_number":"4","media":{"track":"inbound","chunk":"2",
            "timestamp":"20","payload":"1dU="},"stream_id":"st1"}"#;
        assert_eq!(said(&mut codec, media), ["sound [213, 213] 2 20"]);
        let dtmf = r#"{"event":"dtmf","stream_id":"st1","occurred_at":"2026-01-01T00:00:00Z",
            "sequence_number":"5","dtmf":{"digit":"1"}}"#;
        assert_eq!(said(&mut codec, dtmf), ["digit 1 None"]);
        let mark = r#"{"event":"mark","stream_id":"st1","mark":{"name":"stapes-4"}}"#;
        assert_eq!(said(&mut codec, mark), ["mark 4"]);
        let error = r#"{"event":"error","payload":{"code":100002,"title":"unknown_error",
            "detail":"what it was"},"stream_id":"st1"}"#;
        assert_eq!(
            said(&mut codec, error),
            ["ignored Reported(\"unknown_error (100002): what it was\")"]
        );
        let stop = r#"{"event":"stop","stream_id":"st1","stop":{"user_id":"u1"}}"#;
        assert_eq!(said(&mut codec, stop), ["stopped"]);
    }

    #[test]
    fn commands_have_no_stream_id() {
        let mut codec = Telnyx::default();
        said(&mut codec, START);
        let commands = [
            LegCommand::Sound(&[1]),
            LegCommand::Mark(3),
            LegCommand::Clear,
        ];
        assert_eq!(
            texts(&mut codec, &commands),
            [
                r#"{"event":"media","media":{"payload":"AQ=="}}"#,
                r#"{"event":"mark","mark":{"name":"stapes-3"}}"#,
                r#"{"event":"clear"}"#,
            ]
        );
    }

    #[test]
    fn what_goes_out_has_the_format_that_was_configured() {
        let mut codec = Telnyx::new(Some(AudioFormat::Mulaw), false);
        said(&mut codec, START);
        // A-law has no zero: its silence is the step above.
        let written = texts(&mut codec, &[LegCommand::Sound(&[0xd5; 3])]);
        assert_eq!(written, [r#"{"event":"media","media":{"payload":"/v7+"}}"#]);
    }

    #[test]
    fn l16_is_little_endian_unless_an_option_says_otherwise() {
        let start = START.replace("PCMA", "L16").replace("8000", "16000");
        let media = r#"{"event":"media","media":{"payload":"AQIDBA=="},"stream_id":"st1"}"#;
        let mut little = Telnyx::default();
        assert!(said(&mut little, &start)[0].contains("audio/pcm at 16000 Hz"));
        assert_eq!(said(&mut little, media), ["sound [1, 2, 3, 4] - -"]);
        let mut big = Telnyx::new(None, true);
        said(&mut big, &start);
        assert_eq!(said(&mut big, media), ["sound [2, 1, 4, 3] - -"]);
        assert_eq!(
            texts(&mut big, &[LegCommand::Sound(&[1, 2])]),
            [r#"{"event":"media","media":{"payload":"AgE="}}"#]
        );
    }

    #[test]
    fn a_codec_that_is_not_spoken_here_is_refused_with_a_remedy() {
        for (from, to) in [
            ("PCMA", "G722"),
            ("PCMA", "OPUS"),
            ("\"channels\":1", "\"channels\":2"),
        ] {
            let refused = said(&mut Telnyx::default(), &START.replace(from, to));
            assert!(refused[0].starts_with("refused ") && refused[0].contains("set stream_"));
        }
    }

    #[test]
    fn packets_of_another_stream_and_of_our_own_sound_have_no_effect() {
        let mut codec = Telnyx::default();
        let media =
            r#"{"event":"media","media":{"track":"outbound","payload":"AQ=="},"stream_id":"st1"}"#;
        assert_eq!(said(&mut codec, media), ["ignored BeforeStart"]);
        said(&mut codec, START);
        assert!(said(&mut codec, media).is_empty());
        assert_eq!(
            said(&mut codec, &media.replace("st1", "st2")),
            ["ignored ForeignStream"]
        );
    }
}
