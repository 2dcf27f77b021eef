//! Twilio Media Streams, bidirectional (`<Connect><Stream>`): JSON texts over a WebSocket, mu-law at
//! 8 kHz in base64, all numbers as strings.
//!
//! Source: twilio.com/docs/voice/media-streams/websocket-messages. Twilio buffers what it is sent and
//! plays it in order. A mark comes back when the sound before it was played, and also when a `clear`
//! dropped it: only its number tells which.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::audio::{AudioFormat, base64};
use crate::calls::carrier::{
    Capabilities, Carrier, Ignored, LegCommand, LegMessage, Media, Started,
};
use crate::transport::{Frame, Outgoing};

/// What our marks are called; a number follows.
const MARK: &str = "stapes-";

/// The codec of one stream.
#[derive(Debug, Default)]
pub struct Twilio {
    stream_id: Option<String>,
    /// As JSON, with its quotes.
    quoted_stream_id: String,
    sound: Vec<u8>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, rename = "streamSid")]
    stream_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    media: Option<MediaMessage<'a>>,
    #[serde(borrow)]
    mark: Option<MarkMessage<'a>>,
    dtmf: Option<DtmfMessage>,
    start: Option<StartMessage>,
}

#[derive(Deserialize)]
struct MediaMessage<'a> {
    #[serde(borrow)]
    track: Option<Cow<'a, str>>,
    #[serde(default)]
    chunk: Loose,
    #[serde(default)]
    timestamp: Loose,
    #[serde(borrow)]
    payload: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct MarkMessage<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct DtmfMessage {
    digit: Option<String>,
    #[serde(default)]
    duration: Loose,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartMessage {
    stream_sid: Option<String>,
    call_sid: Option<String>,
    custom_parameters: Option<Map<String, Value>>,
    media_format: Option<FormatMessage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FormatMessage {
    encoding: Option<String>,
    #[serde(default)]
    sample_rate: Loose,
}

/// A number, which Twilio writes as a string; anything else is none.
#[derive(Debug, Clone, Copy, Default)]
struct Loose(Option<u64>);

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Loose;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number, or a string that is one")
            }
            fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
                Ok(Loose(text.trim().parse().ok()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
                Ok(Loose(Some(number)))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Loose, E> {
                Ok(Loose(u64::try_from(number).ok()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Loose, E> {
                Ok(Loose((number >= 0.0).then_some(number as u64)))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
                Ok(Loose(None))
            }
            fn visit_unit<E>(self) -> Result<Loose, E> {
                Ok(Loose(None))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Loose, A::Error> {
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Loose(None))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Loose, A::Error> {
                while map
                    .next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?
                    .is_some()
                {}
                Ok(Loose(None))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Twilio {
    fn start(&mut self, message: Message<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let start = message.start.unwrap_or(StartMessage {
            stream_sid: None,
            call_sid: None,
            custom_parameters: None,
            media_format: None,
        });
        let outer = message.stream_id.map(Cow::into_owned);
        let Some(stream_id) = start.stream_sid.or(outer).filter(|id| !id.is_empty()) else {
            return take(LegMessage::Ignored(Ignored::Lacks("start.streamSid")));
        };
        if self.stream_id.as_ref() == Some(&stream_id) {
            return take(LegMessage::Ignored(Ignored::SecondStart));
        }
        let format = start.media_format.map_or(Ok(AudioFormat::Mulaw), |format| {
            let encoding = format.encoding.unwrap_or_else(|| "audio/x-mulaw".to_owned());
            let rate = format.sample_rate.0.unwrap_or(8_000);
            match (encoding.as_str(), rate) {
                ("audio/x-mulaw" | "audio/pcmu" | "mulaw", 8_000) => Ok(AudioFormat::Mulaw),
                _ => Err(format!(
                    "the stream's sound is {encoding} at {rate} Hz: Twilio's bidirectional streams are \
                     audio/x-mulaw at 8000 Hz"
                )),
            }
        });
        let format = match format {
            Ok(format) => format,
            Err(why) => return take(LegMessage::Refused(why)),
        };
        self.quoted_stream_id = Value::from(stream_id.as_str()).to_string();
        self.stream_id = Some(stream_id.clone());
        let parameters = start.custom_parameters.unwrap_or_default();
        let text = |name: &str| {
            let value = parameters.get(name).and_then(Value::as_str);
            value.map(str::to_owned)
        };
        take(LegMessage::Started(Box::new(Started {
            call_id: start.call_sid.unwrap_or_else(|| stream_id.clone()),
            stream_id,
            // Twilio tells neither: the TwiML may pass them on as parameters.
            caller: text("from").or_else(|| text("caller")),
            callee: text("to"),
            direction: text("direction"),
            parameters,
            format,
        })));
    }

    fn media(&mut self, media: Option<&MediaMessage<'_>>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let Some(media) = media else {
            return take(LegMessage::Ignored(Ignored::Lacks("media")));
        };
        if media
            .track
            .as_ref()
            .is_some_and(|track| *track == "outbound")
        {
            return;
        }
        let Some(payload) = &media.payload else {
            return take(LegMessage::Ignored(Ignored::Lacks("media.payload")));
        };
        self.sound.clear();
        if base64::decode_append(payload.as_bytes(), &mut self.sound).is_err() {
            return take(LegMessage::Ignored(Ignored::BadSound));
        }
        if !self.sound.is_empty() {
            take(LegMessage::Media(Media {
                sound: &self.sound,
                number: media.chunk.0,
                at_ms: media.timestamp.0,
            }));
        }
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
        "twilio"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::MEDIA_STREAM
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let Frame::Text(text) = frame else {
            return take(LegMessage::Ignored(Ignored::NotOfTheProtocol));
        };
        let Ok(message) = serde_json::from_str::<Message<'_>>(text) else {
            return take(LegMessage::Ignored(Ignored::NotOfTheProtocol));
        };
        let event = message.event.clone();
        if event == "connected" {
            return;
        }
        if event == "start" {
            return self.start(message, take);
        }
        let Some(stream_id) = &self.stream_id else {
            return take(LegMessage::Ignored(Ignored::BeforeStart));
        };
        if message
            .stream_id
            .as_ref()
            .is_some_and(|id| **id != **stream_id)
        {
            return take(LegMessage::Ignored(Ignored::ForeignStream));
        }
        match &*event {
            "media" => self.media(message.media.as_ref(), take),
            "mark" => {
                let name = message.mark.and_then(|mark| mark.name);
                let id = name
                    .as_deref()
                    .and_then(|name| name.strip_prefix(MARK)?.parse().ok());
                // Other marks are somebody else's.
                if let Some(id) = id {
                    take(LegMessage::Mark(id));
                }
            }
            "dtmf" => {
                let dtmf = message.dtmf;
                let duration = dtmf.as_ref().and_then(|dtmf| dtmf.duration.0);
                let digit = dtmf.and_then(|dtmf| dtmf.digit?.chars().next());
                take(match digit {
                    Some(digit) => LegMessage::Dtmf {
                        digit,
                        duration: duration.map(Duration::from_millis),
                    },
                    None => LegMessage::Ignored(Ignored::Lacks("dtmf.digit")),
                });
            }
            "stop" => take(LegMessage::Stopped(
                "the carrier has ended the stream".to_owned(),
            )),
            kind => take(LegMessage::Ignored(Ignored::UnknownKind(kind.to_owned()))),
        }
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        match command {
            LegCommand::Sound(sound) => {
                let id = &self.quoted_stream_id;
                let mut text = String::with_capacity(sound.len() / 3 * 4 + id.len() + 64);
                text.push_str(r#"{"event":"media","streamSid":"#);
                text.push_str(id);
                text.push_str(r#","media":{"payload":""#);
                base64::encode_append_text(sound, &mut text);
                text.push_str(r#""}}"#);
                out.push(Outgoing::Text(text));
            }
            LegCommand::Mark(id) => {
                let mark = format_args!(r#","mark":{{"name":"{MARK}{id}"}}"#);
                out.push(self.text("mark", mark));
            }
            LegCommand::Clear => out.push(self.text("clear", format_args!(""))),
            // Not among the capabilities. The stream's end lets the call go on with the TwiML behind it.
            LegCommand::Dtmf(_) | LegCommand::Pause | LegCommand::Resume | LegCommand::HangUp => {}
        }
    }
}
