//! Twilio Media Streams, bidirectional (`<Connect><Stream>`): JSON texts over a WebSocket, mu-law at
//! 8 kHz in base64, all numbers as strings. And SignalWire's `<Stream>`, which speaks the same.
//!
//! Source: twilio.com/docs/voice/media-streams/websocket-messages; developer.signalwire.com, "Stream" of
//! cXML. What they do that is not plain:
//!
//! - They buffer what they are sent and play it in order. A mark comes back when the sound before it was
//!   played, and also when a `clear` dropped it: only its number tells which.
//! - Twilio does not say who calls: the `TwiML` may pass it on as `<Parameter name="from" ...>`.
//! - No message hangs up. The end of the stream lets the call go on with what follows `<Connect>`.
//! - SignalWire also has linear PCM at 16 and 24 kHz (`codec="L16@24000h"`), takes digits, and tells how
//!   long one was pressed. The byte order of its samples is not written down; what forwards them to models
//!   that take little endian does not turn them, so little endian it is, unless an option says otherwise.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;

use super::media_stream::{DtmfMessage, MarkMessage, MediaMessage, format_of_stream, stopped};
use super::wire::{self, Base64Sound, Loose, MARK, Object, TextOrNumber};
use crate::audio::AudioFormat;
use crate::calls::carrier::{Capabilities, Carrier, Ignored, LegCommand, LegMessage, Started};
use crate::transport::{Frame, Outgoing};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Dialect {
    #[default]
    Twilio,
    SignalWire,
}

/// The codec of one stream.
#[derive(Debug, Default)]
pub struct Twilio {
    dialect: Dialect,
    stream_id: Option<String>,
    /// As JSON, with its quotes.
    quoted_stream_id: String,
    format: Option<AudioFormat>,
    sound: Base64Sound,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow, default)]
    event: TextOrNumber<'a>,
    #[serde(borrow, default)]
    stream_sid: TextOrNumber<'a>,
    #[serde(borrow)]
    media: Option<MediaMessage<'a>>,
    #[serde(borrow)]
    mark: Option<MarkMessage<'a>>,
    #[serde(borrow)]
    dtmf: Option<DtmfMessage<'a>>,
    #[serde(borrow)]
    start: Option<StartMessage<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct StartMessage<'a> {
    #[serde(borrow)]
    stream_sid: TextOrNumber<'a>,
    #[serde(borrow)]
    call_sid: TextOrNumber<'a>,
    custom_parameters: Object,
    #[serde(borrow)]
    media_format: Option<FormatMessage<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FormatMessage<'a> {
    #[serde(borrow, default)]
    encoding: TextOrNumber<'a>,
    #[serde(default)]
    sample_rate: Loose,
}

impl Twilio {
    /// SignalWire's. `is_big_endian`: the byte order of its linear PCM.
    pub fn signalwire(is_big_endian: bool) -> Self {
        let mut codec = Self {
            dialect: Dialect::SignalWire,
            ..Self::default()
        };
        codec.sound.is_big_endian = is_big_endian;
        codec
    }

    fn format_of(&self, format: Option<&FormatMessage<'_>>) -> Result<AudioFormat, String> {
        let Some(format) = format else {
            return Ok(AudioFormat::Mulaw);
        };
        let encoding = format.encoding.as_str().unwrap_or("audio/x-mulaw");
        let found = wire::format(encoding, format.sample_rate.0);
        match (self.dialect, found) {
            (Dialect::Twilio, Ok(AudioFormat::Mulaw)) => Ok(AudioFormat::Mulaw),
            (Dialect::SignalWire, Ok(format)) => Ok(format),
            (Dialect::Twilio, found) => {
                let found =
                    found.map_or_else(|why| why, |it| format!("the stream's sound is {it}"));
                Err(format!(
                    "{found}: Twilio's bidirectional streams are audio/x-mulaw at 8000 Hz"
                ))
            }
            (Dialect::SignalWire, Err(why)) => Err(format!(
                "{why}: set the codec of <Stream> to PCMU@8000h, L16@16000h or L16@24000h"
            )),
        }
    }

    fn start(&mut self, message: Message<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let start = message.start.unwrap_or_default();
        let stream_id = start.stream_sid.owned();
        let Some(stream_id) = stream_id.or_else(|| message.stream_sid.owned()) else {
            return take(LegMessage::Ignored(Ignored::Lacks("start.streamSid")));
        };
        if self.stream_id.as_ref() == Some(&stream_id) {
            return take(LegMessage::Ignored(Ignored::SecondStart));
        }
        let format = match self.format_of(start.media_format.as_ref()) {
            Ok(format) => format,
            Err(why) => return take(LegMessage::Unusable(why)),
        };
        self.format = Some(format);
        self.quoted_stream_id = wire::quoted(&stream_id);
        self.stream_id = Some(stream_id.clone());
        let parameters = start.custom_parameters.0;
        take(LegMessage::Started(Box::new(Started {
            call_id: start.call_sid.owned().unwrap_or_else(|| stream_id.clone()),
            stream_id,
            caller: wire::parameter(&parameters, &["from", "caller"]),
            callee: wire::parameter(&parameters, &["to"]),
            direction: wire::parameter(&parameters, &["direction"]),
            parameters,
            format,
        })));
    }

    fn text(&self, event: &str, body: std::fmt::Arguments<'_>) -> Outgoing {
        let mut text = String::with_capacity(96);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            r#"{{"event":"{event}","streamSid":{}{body}}}"#,
            self.quoted_stream_id
        );
        Outgoing::Text(text)
    }
}

impl Carrier for Twilio {
    fn name(&self) -> &'static str {
        match self.dialect {
            Dialect::Twilio => "twilio",
            Dialect::SignalWire => "signalwire",
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            dtmf: self.dialect == Dialect::SignalWire,
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
            _ => {}
        }
        let started = self.stream_id.as_deref();
        let format = match format_of_stream(started, self.format, &message.stream_sid) {
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
            "dtmf" => {
                let dtmf = message.dtmf.as_ref();
                let duration = dtmf.and_then(|dtmf| dtmf.duration.0);
                take(DtmfMessage::message(
                    dtmf,
                    duration.map(Duration::from_millis),
                ));
            }
            "stop" => take(stopped()),
            kind => take(wire::unknown(kind)),
        }
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        match command {
            LegCommand::Sound(sound) => {
                let format = self.format.unwrap_or(AudioFormat::Mulaw);
                let before = [
                    r#"{"event":"media","streamSid":"#,
                    &self.quoted_stream_id,
                    r#","media":{"payload":""#,
                ];
                let text = self.sound.text(&before, sound, format, r#""}}"#);
                out.push(Outgoing::Text(text));
            }
            LegCommand::Mark(id) => {
                let mark = format_args!(r#","mark":{{"name":"{MARK}{id}"}}"#);
                out.push(self.text("mark", mark));
            }
            LegCommand::Clear => out.push(self.text("clear", format_args!(""))),
            LegCommand::Dtmf(digit) if self.dialect == Dialect::SignalWire => {
                let digit = wire::quoted(digit.encode_utf8(&mut [0; 4]));
                let dtmf = format_args!(r#","dtmf":{{"digit":{digit}}}"#);
                out.push(self.text("dtmf", dtmf));
            }
            // Not among the capabilities. The stream's end lets the call go on with the TwiML behind it.
            LegCommand::Dtmf(_)
            | LegCommand::Pause
            | LegCommand::Resume
            | LegCommand::HangUp(_)
            | LegCommand::Started { .. }
            | LegCommand::Packet(_)
            | LegCommand::Message(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::carriers::tests::{said, texts};

    const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC1",
        "streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw",
        "sampleRate":8000,"channels":1},"customParameters":{"from":"+15550100","tenant":"7"}},
        "streamSid":"MZ1"}"#;

    #[test]
    fn the_documented_messages_of_twilio_are_read() {
        let mut codec = Twilio::default();
        let connected = r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#;
        assert!(said(&mut codec, connected).is_empty());
        assert_eq!(
            said(&mut codec, START),
            [r#"started CA1 MZ1 audio/pcmu from +15550100 {"from":"+15550100","tenant":"7"}"#]
        );
        let media = r#"{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2",
            "timestamp":"20","payload":"//8="},"streamSid":"MZ1"}"#;
        assert_eq!(said(&mut codec, media), ["sound [255, 255] 2 20"]);
        let dtmf =
            r#"{"event":"dtmf","streamSid":"MZ1","dtmf":{"track":"inbound_track","digit":"1"}}"#;
        assert_eq!(said(&mut codec, dtmf), ["digit 1 None"]);
        let mark = r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"stapes-12"}}"#;
        assert_eq!(said(&mut codec, mark), ["mark 12"]);
        let foreign = r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"mine"}}"#;
        assert!(said(&mut codec, foreign).is_empty());
        let stop =
            r#"{"event":"stop","streamSid":"MZ1","stop":{"accountSid":"AC1","callSid":"CA1"}}"#;
        assert_eq!(said(&mut codec, stop), ["stopped"]);
    }

    #[test]
    fn what_has_no_effect_says_why() {
        let mut codec = Twilio::default();
        let media = r#"{"event":"media","media":{"payload":"//8="},"streamSid":"MZ1"}"#;
        assert_eq!(said(&mut codec, media), ["ignored BeforeStart"]);
        said(&mut codec, START);
        for (text, why) in [
            (START, "SecondStart"),
            ("{}", "Lacks(\"event\")"),
            ("no JSON", "NotOfTheProtocol"),
            (r#"{"event":"media"}"#, "Lacks(\"media\")"),
            (
                r#"{"event":"media","media":{}}"#,
                "Lacks(\"media.payload\")",
            ),
            (
                r#"{"event":"media","media":{"payload":null}}"#,
                "Lacks(\"media.payload\")",
            ),
            (r#"{"event":"media","media":{"payload":1234}}"#, "BadSound"),
            (
                r#"{"event":"media","media":{"payload":"//8="},"streamSid":"MZ2"}"#,
                "ForeignStream",
            ),
            (r#"{"event":"dtmf","dtmf":{}}"#, "Lacks(\"dtmf.digit\")"),
            (r#"{"event":"new"}"#, "UnknownKind(\"new\")"),
        ] {
            assert_eq!(said(&mut codec, text), [format!("ignored {why}")], "{text}");
        }
        let outbound = r#"{"event":"media","media":{"track":"outbound","payload":"//8="}}"#;
        assert!(said(&mut codec, outbound).is_empty());
    }

    #[test]
    fn fields_of_unexpected_types_do_not_cost_the_packet() {
        let mut codec = Twilio::default();
        said(&mut codec, START);
        let media = r#"{"event":"media","sequenceNumber":{},"media":{"track":7,"chunk":3,"timestamp":null,
            "payload":"AQ=="}}"#;
        assert_eq!(said(&mut codec, media), ["sound [1] 3 -"]);
        let dtmf = r#"{"event":"dtmf","dtmf":{"digit":5,"duration":"80"}}"#;
        assert_eq!(said(&mut codec, dtmf), ["digit 5 Some(80ms)"]);
    }

    #[test]
    fn twilio_refuses_another_format_and_signalwire_has_linear_pcm() {
        let wide = START
            .replace("audio/x-mulaw", "L16")
            .replace("8000", "24000");
        let refused = said(&mut Twilio::default(), &wide);
        assert!(
            refused[0].starts_with("refused the stream's sound is audio/pcm at 24000 Hz: Twilio")
        );
        let mut codec = Twilio::signalwire(false);
        let started = said(&mut codec, &wide);
        assert!(started[0].contains("audio/pcm at 24000 Hz"), "{started:?}");
        let media = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQIDBA=="}}"#;
        assert_eq!(said(&mut codec, media), ["sound [1, 2, 3, 4] - -"]);
        let half = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQID"}}"#;
        assert_eq!(said(&mut codec, half), ["ignored BadSound"]);
        let opus = START.replace("audio/x-mulaw", "opus");
        let refused = said(&mut Twilio::signalwire(false), &opus);
        assert!(
            refused[0].contains("set the codec of <Stream>"),
            "{refused:?}"
        );
    }

    #[test]
    fn commands_are_the_documented_messages() {
        let mut codec = Twilio::default();
        said(&mut codec, START);
        let commands = [
            LegCommand::Sound(&[255, 255]),
            LegCommand::Mark(3),
            LegCommand::Clear,
            LegCommand::Dtmf('1'),
            LegCommand::HangUp(""),
        ];
        assert_eq!(
            texts(&mut codec, &commands),
            [
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"//8="}}"#,
                r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"stapes-3"}}"#,
                r#"{"event":"clear","streamSid":"MZ1"}"#,
            ]
        );
        let mut codec = Twilio::signalwire(true);
        said(
            &mut codec,
            &START
                .replace("audio/x-mulaw", "L16@16000h")
                .replace("\"sampleRate\":8000,", ""),
        );
        assert_eq!(
            texts(
                &mut codec,
                &[LegCommand::Dtmf('#'), LegCommand::Sound(&[1, 2])]
            ),
            [
                r##"{"event":"dtmf","streamSid":"MZ1","dtmf":{"digit":"#"}}"##,
                r#"{"event":"media","streamSid":"MZ1","media":{"payload":"AgE="}}"#,
            ]
        );
    }
}
