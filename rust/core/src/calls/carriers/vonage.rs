//! Vonage's Voice API over WebSocket: linear PCM, little endian, in binary messages of 20 ms; control in JSON
//! texts.
//!
//! Source: developer.vonage.com, "`WebSockets`" of the Voice API. Its traps:
//!
//! - The first text, `websocket:connected`, tells the rate in `content-type`, and has the application's headers of the
//!   NCCO beside it. It does not say which call it is: put `uuid`, `from` and `to` among the headers.
//! - A message holds 20 ms, no more: Vonage keeps 3,072 messages, about 60 s, and drops what is above.
//! - A `notify` comes back when what was sent before it was played. A `clear` is said to drop those that
//!   are queued.
//! - No message hangs up; the end of the WebSocket ends its leg of the call.

use std::time::Duration;

use serde_json::{Map, Value};

use super::wire::{self, Loose, MARK, TextOrNumber};
use crate::audio::AudioFormat;
use crate::calls::carrier::{
    Capabilities, Carrier, Ignored, LegCommand, LegMessage, Marks, Started,
};
use crate::transport::{Frame, Outgoing};

/// The codec of one connection.
#[derive(Debug, Default)]
pub struct Vonage {
    format: Option<AudioFormat>,
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    event: TextOrNumber<'a>,
    #[serde(borrow, default)]
    digit: TextOrNumber<'a>,
    #[serde(default)]
    duration: Loose,
    #[serde(borrow)]
    dtmf: Option<DtmfMessage<'a>>,
    #[serde(borrow)]
    payload: Option<Payload<'a>>,
}

#[derive(serde::Deserialize)]
struct DtmfMessage<'a> {
    #[serde(borrow, default)]
    digit: TextOrNumber<'a>,
}

/// Of a `notify`; that of others may be anything.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Payload<'a> {
    Ours {
        #[serde(borrow, default)]
        name: TextOrNumber<'a>,
    },
    Other(serde::de::IgnoredAny),
}

impl Vonage {
    fn start(&mut self, text: &str, take: &mut dyn FnMut(LegMessage<'_>)) {
        if self.format.is_some() {
            return take(LegMessage::Ignored(Ignored::SecondStart));
        }
        let Ok(mut headers) = serde_json::from_str::<Map<String, Value>>(text) else {
            return take(LegMessage::Ignored(Ignored::NotOfTheProtocol));
        };
        headers.shift_remove("event");
        let kind = headers.shift_remove("content-type");
        let kind = kind.as_ref().and_then(Value::as_str);
        let format = wire::format(kind.unwrap_or("audio/l16;rate=16000"), None);
        let format = match format {
            Ok(format @ AudioFormat::Pcm { .. }) => format,
            found => {
                let found =
                    found.map_or_else(|why| why, |it| format!("the stream's sound is {it}"));
                return take(LegMessage::Unusable(format!(
                    "{found}: set the content-type of the endpoint to audio/l16;rate=16000"
                )));
            }
        };
        self.format = Some(format);
        let find = |names: &[&str]| wire::parameter(&headers, names);
        let id = find(&["uuid", "call_uuid", "conversation_uuid"]).unwrap_or_default();
        take(LegMessage::Started(Box::new(Started {
            call_id: id.clone(),
            stream_id: id,
            caller: find(&["from", "caller"]),
            callee: find(&["to"]),
            direction: find(&["direction"]),
            parameters: headers,
            format,
        })));
    }
}

impl Carrier for Vonage {
    fn name(&self) -> &'static str {
        "vonage"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // Below what it keeps, by what may be on the way.
            far_buffer: Some(Duration::from_secs(55)),
            marks: Marks::LostOnClear,
            whole_frames: Some(Duration::from_millis(20)),
            ..Capabilities::MEDIA_STREAM
        }
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(sound) => return wire::binary_sound(self.format, sound, take),
        };
        let message: Message<'_> = match wire::read(frame) {
            Ok(message) => message,
            Err(why) => return take(LegMessage::Ignored(why)),
        };
        let message = match message.event.as_str() {
            None => LegMessage::Ignored(Ignored::Lacks("event")),
            Some("websocket:connected") => return self.start(text, take),
            Some(_) if self.format.is_none() => LegMessage::Ignored(Ignored::BeforeStart),
            Some("websocket:notify") => {
                let Some(Payload::Ours { name }) = message.payload else {
                    return;
                };
                match name.mark() {
                    Some(id) => LegMessage::Mark(id),
                    None => return,
                }
            }
            Some("websocket:dtmf") => {
                let digit = message.digit.digit();
                let digit = digit.or_else(|| message.dtmf.and_then(|dtmf| dtmf.digit.digit()));
                match digit {
                    Some(digit) => LegMessage::Dtmf {
                        digit,
                        duration: message.duration.0.map(Duration::from_millis),
                    },
                    None => LegMessage::Ignored(Ignored::Lacks("digit")),
                }
            }
            Some("websocket:cleared") => return,
            Some("websocket:error") => LegMessage::Ignored(Ignored::Reported(wire::brief(text))),
            Some(kind) => wire::unknown(kind),
        };
        take(message);
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        match command {
            LegCommand::Sound(sound) => {
                let Some(format) = self.format else { return };
                let frame = format.sample_rate() as usize / 50 * 2;
                let frames = sound.chunks(frame);
                out.extend(frames.map(|frame| Outgoing::Binary(frame.to_vec())));
            }
            LegCommand::Mark(id) => out.push(Outgoing::Text(format!(
                r#"{{"action":"notify","payload":{{"name":"{MARK}{id}"}}}}"#
            ))),
            LegCommand::Clear => out.push(Outgoing::Text(r#"{"action":"clear"}"#.to_owned())),
            // Not among the capabilities.
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
    use crate::calls::carriers::tests::{said, said_by, texts};

    const START: &str = r#"{"event":"websocket:connected","content-type":"audio/l16;rate=16000",
        "uuid":"u1","from":"15550100","customer":{"id":7}}"#;

    #[test]
    fn the_documented_messages_are_read() {
        let mut codec = Vonage::default();
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[0; 2])),
            ["ignored BeforeStart"]
        );
        assert_eq!(
            said(&mut codec, START),
            [concat!(
                "started u1 u1 audio/pcm at 16000 Hz from 15550100 ",
                r#"{"uuid":"u1","from":"15550100","customer":{"id":7}}"#
            )]
        );
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[1, 2])),
            ["sound [1, 2] - -"]
        );
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[1])),
            ["ignored BadSound"]
        );
        let dtmf = r#"{"event":"websocket:dtmf","digit":"5","duration":260}"#;
        assert_eq!(said(&mut codec, dtmf), ["digit 5 Some(260ms)"]);
        let older = r#"{"event":"websocket:dtmf","dtmf":{"digit":"6"}}"#;
        assert_eq!(said(&mut codec, older), ["digit 6 None"]);
        let notify = r#"{"event":"websocket:notify","payload":{"name":"stapes-2"}}"#;
        assert_eq!(said(&mut codec, notify), ["mark 2"]);
        for none in [
            r#"{"event":"websocket:notify","payload":{"mine":[1]}}"#,
            r#"{"event":"websocket:notify","payload":"text"}"#,
            r#"{"event":"websocket:notify"}"#,
            r#"{"event":"websocket:cleared"}"#,
        ] {
            assert!(said(&mut codec, none).is_empty(), "{none}");
        }
        assert_eq!(said(&mut codec, START), ["ignored SecondStart"]);
    }

    #[test]
    fn a_content_type_that_is_not_linear_is_refused_with_a_remedy() {
        let refused = said(&mut Vonage::default(), &START.replace("l16", "opus"));
        assert!(refused[0].contains("set the content-type"), "{refused:?}");
    }

    #[test]
    fn commands_are_the_documented_messages_and_sound_is_cut_into_frames() {
        let mut codec = Vonage::default();
        said(&mut codec, START);
        let commands = [
            LegCommand::Sound(&[0; 1280]),
            LegCommand::Mark(3),
            LegCommand::Clear,
        ];
        assert_eq!(
            texts(&mut codec, &commands),
            [
                "640 bytes",
                "640 bytes",
                r#"{"action":"notify","payload":{"name":"stapes-3"}}"#,
                r#"{"action":"clear"}"#,
            ]
        );
    }
}
