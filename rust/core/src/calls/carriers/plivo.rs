//! Plivo's audio streams (`<Stream bidirectional="true">`): JSON texts over a WebSocket, sound in base64.
//!
//! Source: plivo.com/docs, "Audio Streaming", and Plivo's stream SDKs. Its traps:
//!
//! - Checkpoints whose sound a `clearAudio` drops are never acknowledged.
//! - What is sent names its content type and rate, those of `contentType` of `<Stream>`: mu-law or linear PCM at
//!   8 kHz, or linear PCM at 16 kHz. The byte order of `audio/x-l16` is not written down; little endian, as its
//!   SDKs have it, unless an option says otherwise.
//! - `timestamp` is the time of day, and jitters as the network does: it is no position in the sound, and
//!   not used. `chunk` counts.
//! - `extraHeaders` come as one text, as JSON or as `key=value` pairs with `;` or `,` between them.
//! - No message hangs up.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::media_stream::{DtmfMessage, MediaMessage, format_of_stream, stopped};
use super::wire::{self, Base64Sound, Loose, MARK, TextOrNumber};
use crate::audio::AudioFormat;
use crate::calls::carrier::{
    Capabilities, Carrier, Ignored, LegCommand, LegMessage, Marks, Started,
};
use crate::transport::{Frame, Outgoing};

/// The codec of one stream.
#[derive(Debug, Default)]
pub struct Plivo {
    stream_id: Option<String>,
    /// As JSON, with its quotes.
    quoted_stream_id: String,
    format: Option<AudioFormat>,
    /// What a message with sound begins with.
    sound_begin: String,
    sound: Base64Sound,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow, default)]
    event: TextOrNumber<'a>,
    #[serde(borrow, default)]
    stream_id: TextOrNumber<'a>,
    /// Of a checkpoint.
    #[serde(borrow, default)]
    name: TextOrNumber<'a>,
    #[serde(borrow)]
    media: Option<MediaMessage<'a>>,
    #[serde(borrow)]
    dtmf: Option<DtmfMessage<'a>>,
    #[serde(borrow)]
    start: Option<StartMessage<'a>>,
    /// Every message has them; they are read where the stream starts.
    #[serde(borrow, rename = "extra_headers", alias = "extraHeaders")]
    extra_headers: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct StartMessage<'a> {
    #[serde(borrow)]
    stream_id: TextOrNumber<'a>,
    #[serde(borrow)]
    call_id: TextOrNumber<'a>,
    #[serde(borrow)]
    from: TextOrNumber<'a>,
    #[serde(borrow)]
    to: TextOrNumber<'a>,
    /// An object with `encoding` and `sampleRate`, or `audio/x-l16;rate=16000`.
    media_format: Value,
}

/// The extra headers, in each of the ways in which they are written.
fn headers(raw: &RawValue) -> Map<String, Value> {
    let text = match serde_json::from_str(raw.get()) {
        Ok(Value::Object(map)) => return map,
        Ok(Value::String(text)) => text,
        _ => return Map::new(),
    };
    if let Ok(Value::Object(map)) = serde_json::from_str(&text) {
        return map;
    }
    let pairs = text
        .split([';', ','])
        .filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), Value::from(value.trim())))
        .collect()
}

fn format_of(media_format: &Value) -> Result<AudioFormat, String> {
    let (name, rate) = match media_format {
        Value::Object(format) => (
            format.get("encoding").and_then(Value::as_str),
            format.get("sampleRate").and_then(|rate| {
                let rate = rate.as_f64().or_else(|| rate.as_str()?.trim().parse().ok());
                Loose::of(rate).0
            }),
        ),
        other => (other.as_str(), None),
    };
    let name = name.filter(|name| !name.is_empty());
    wire::format(name.unwrap_or("audio/x-mulaw"), rate).map_err(|why| {
        format!(
            "{why}: set contentType of <Stream> to audio/x-mulaw;rate=8000, audio/x-l16;rate=8000 or \
             audio/x-l16;rate=16000"
        )
    })
}

impl Plivo {
    /// `is_big_endian`: the byte order of `audio/x-l16`.
    pub fn new(is_big_endian: bool) -> Self {
        let mut codec = Self::default();
        codec.sound.is_big_endian = is_big_endian;
        codec
    }

    fn start(&mut self, message: Message<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let start = message.start.unwrap_or_default();
        let stream_id = start.stream_id.owned();
        let Some(stream_id) = stream_id.or_else(|| message.stream_id.owned()) else {
            return take(LegMessage::Ignored(Ignored::Lacks("start.streamId")));
        };
        if self.stream_id.as_ref() == Some(&stream_id) {
            return take(LegMessage::Ignored(Ignored::SecondStart));
        }
        let format = match format_of(&start.media_format) {
            Ok(format) => format,
            Err(why) => return take(LegMessage::Unusable(why)),
        };
        let name = match format {
            AudioFormat::Pcm { .. } => "audio/x-l16",
            AudioFormat::Mulaw => "audio/x-mulaw",
            AudioFormat::Alaw => "audio/x-alaw",
        };
        let rate = format.sample_rate();
        self.sound_begin = format!(
            r#"{{"event":"playAudio","media":{{"contentType":"{name}","sampleRate":{rate},"payload":""#
        );
        self.format = Some(format);
        self.quoted_stream_id = wire::quoted(&stream_id);
        self.stream_id = Some(stream_id.clone());
        let parameters = message.extra_headers.map(headers).unwrap_or_default();
        let find = |names: &[&str]| wire::parameter(&parameters, names);
        take(LegMessage::Started(Box::new(Started {
            call_id: start.call_id.owned().unwrap_or_else(|| stream_id.clone()),
            stream_id,
            caller: start.from.owned().or_else(|| find(&["from", "caller"])),
            callee: start.to.owned().or_else(|| find(&["to"])),
            direction: find(&["direction"]),
            parameters,
            format,
        })));
    }
}

impl Carrier for Plivo {
    fn name(&self) -> &'static str {
        "plivo"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            marks: Marks::LostOnClear,
            dtmf: true,
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
        let format = match format_of_stream(started, self.format, &message.stream_id) {
            Ok(format) => format,
            Err(why) => return take(LegMessage::Ignored(why)),
        };
        match event {
            "media" => {
                let media = message.media.map(MediaMessage::without_time);
                MediaMessage::tell(media.as_ref(), &mut self.sound, format, take);
            }
            "playedStream" => {
                if let Some(id) = message.name.mark() {
                    take(LegMessage::Mark(id));
                }
            }
            "clearedAudio" => {}
            "dtmf" => take(DtmfMessage::message(message.dtmf.as_ref(), None)),
            "stop" => take(stopped()),
            kind => take(wire::unknown(kind)),
        }
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        let id = &self.quoted_stream_id;
        let text = match command {
            LegCommand::Sound(sound) => {
                let format = self.format.unwrap_or(AudioFormat::Mulaw);
                let before = [self.sound_begin.as_str()];
                self.sound.text(&before, sound, format, r#""}}"#)
            }
            LegCommand::Mark(mark) => {
                format!(r#"{{"event":"checkpoint","streamId":{id},"name":"{MARK}{mark}"}}"#)
            }
            LegCommand::Clear => format!(r#"{{"event":"clearAudio","streamId":{id}}}"#),
            LegCommand::Dtmf(digit) => {
                let digit = wire::quoted(digit.encode_utf8(&mut [0; 4]));
                format!(r#"{{"event":"sendDTMF","dtmf":{digit}}}"#)
            }
            // Not among the capabilities.
            LegCommand::Pause
            | LegCommand::Resume
            | LegCommand::HangUp(_)
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
    use crate::calls::carriers::tests::{said, texts};

    const START: &str = r#"{"sequenceNumber":0,"event":"start","start":{"callId":"ca1","streamId":"st1",
        "accountId":"MA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-l16","sampleRate":16000}},
        "extra_headers":"userId=12345;from=+15550100"}"#;

    #[test]
    fn the_documented_messages_are_read() {
        let mut codec = Plivo::default();
        assert_eq!(
            said(&mut codec, START),
            [concat!(
                "started ca1 st1 audio/pcm at 16000 Hz from +15550100 ",
                r#"{"userId":"12345","from":"+15550100"}"#
            )]
        );
        let media = r#"{"event":"media","sequenceNumber":42,"streamId":"st1","media":{"track":"inbound",
            "timestamp":"1705312200000","chunk":41,"payload":"AQA="},"extra_headers":"userId=12345"}"#;
        assert_eq!(said(&mut codec, media), ["sound [1, 0] 41 -"]);
        let dtmf = r#"{"event":"dtmf","sequenceNumber":50,"streamId":"st1",
            "dtmf":{"track":"inbound","digit":"5","timestamp":"1705312205000"}}"#;
        assert_eq!(said(&mut codec, dtmf), ["digit 5 None"]);
        let played = r#"{"event":"playedStream","streamId":"st1","name":"stapes-8"}"#;
        assert_eq!(said(&mut codec, played), ["mark 8"]);
        let cleared = r#"{"event":"clearedAudio","sequenceNumber":9,"streamId":"st1"}"#;
        assert!(said(&mut codec, cleared).is_empty());
        assert_eq!(
            said(&mut codec, r#"{"event":"stop","streamId":"st1"}"#),
            ["stopped"]
        );
    }

    #[test]
    fn formats_and_headers_are_read_in_each_way_of_writing_them() {
        let old = r#"{"encoding":"audio/x-l16","sampleRate":16000}"#;
        for (format, heard) in [
            (r#""audio/x-l16;rate=8000""#, "audio/pcm at 8000 Hz"),
            (
                r#"{"encoding":"audio/x-mulaw","sampleRate":"8000"}"#,
                "audio/pcmu",
            ),
            ("null", "audio/pcmu"),
        ] {
            let started = said(&mut Plivo::default(), &START.replace(old, format));
            assert!(started[0].contains(heard), "{started:?}");
        }
        let old = r#""userId=12345;from=+15550100""#;
        for (written, read) in [
            (r#""{\"a\":\"b\"}""#, r#"{"a":"b"}"#),
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#""a=b, c=d=e""#, r#"{"a":"b","c":"d=e"}"#),
            (r#""{}""#, "{}"),
            ("[7]", "{}"),
        ] {
            let started = said(&mut Plivo::default(), &START.replace(old, written));
            assert!(started[0].ends_with(read), "{started:?}");
        }
        let refused = said(&mut Plivo::default(), &START.replace("x-l16", "opus"));
        assert!(
            refused[0].contains("set contentType of <Stream>"),
            "{refused:?}"
        );
    }

    #[test]
    fn commands_are_the_documented_messages() {
        let mut codec = Plivo::default();
        said(&mut codec, START);
        let commands = [
            LegCommand::Sound(&[1, 0]),
            LegCommand::Mark(3),
            LegCommand::Clear,
            LegCommand::Dtmf('#'),
        ];
        assert_eq!(
            texts(&mut codec, &commands),
            [
                concat!(
                    r#"{"event":"playAudio","media":{"contentType":"audio/x-l16","sampleRate":16000,"#,
                    r#""payload":"AQA="}}"#
                ),
                r#"{"event":"checkpoint","streamId":"st1","name":"stapes-3"}"#,
                r#"{"event":"clearAudio","streamId":"st1"}"#,
                r##"{"event":"sendDTMF","dtmf":"#"}"##,
            ]
        );
    }
}
