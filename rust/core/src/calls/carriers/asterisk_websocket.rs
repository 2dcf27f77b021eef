//! Asterisk's WebSocket channel (`chan_websocket`, sub-protocol `media`): sound in binary messages, control in
//! text, as JSON or, by default, as plain text. This side answers in the way in which `MEDIA_START` came.
//!
//! Source: docs.asterisk.org, "WebSocket" channel driver, `chan_websocket.c`, and a running Asterisk 22. Its
//! traps:
//!
//! - Asterisk paces. Its queue holds 1,000 frames; what does not fit is dropped without a word, and
//!   `MEDIA_XOFF` (at 900) comes too late for a fast sender: this side stays below 15 s.
//! - Each message is cut into frames by itself, and what is left over is dropped: messages hold whole frames
//!   of `optimal_frame_size`. A message above 65,500 bytes ends the call.
//! - A text above 128 bytes is ignored.
//! - `FLUSH_MEDIA` drops marks without telling, and does not undo `PAUSE_MEDIA`, whatever its page says: to
//!   clear a paused stream is to flush it and to let it go on.
//! - Nothing is sent to the caller while nothing is sent to Asterisk; nothing times out.
//! - `channel_variables` come with JSON only (`f(json)` in the dial string), under the names that they have
//!   in the dial plan, with their underscores. What `v(...)` adds is in the query of the request.
//! - With the option `n`, nothing is heard before the channel is answered, by `ANSWER` or by the application's own
//!   means. Without it, Asterisk answers by itself.
//! - Opus, speex and g729 come in passthrough mode, which this side does not speak: use `c(slin16)` or such.

use std::time::Duration;

use serde::Deserialize;

use super::wire::{self, Loose, MARK, Object, TextOrNumber};
use crate::audio::AudioFormat;
use crate::calls::carrier::{
    Capabilities, Carrier, Ignored, LegCommand, LegMessage, Marks, Started,
};
use crate::transport::{Frame, Outgoing};

/// The largest binary message.
const MAX_MESSAGE: usize = 65_500;

/// The largest frame: a message of the leg holds at least one.
const MAX_FRAME: usize = MAX_MESSAGE / 2;

/// The longest text that Asterisk reads.
#[cfg(test)]
const MAX_COMMAND: usize = 128;

/// What helps where the format cannot be used.
const REMEDY: &str = "use c(slin16), c(slin24), c(slin), c(ulaw) or c(alaw) in the dial string";

/// The codec of one connection.
#[derive(Debug, Default)]
pub struct AsteriskWebSocket {
    stream: Option<Stream>,
    is_paused: bool,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    format: AudioFormat,
    /// The bytes of one frame.
    frame: usize,
    is_json: bool,
}

/// An event, in either way of writing it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow, rename = "event")]
    name: TextOrNumber<'a>,
    #[serde(borrow)]
    connection_id: TextOrNumber<'a>,
    #[serde(borrow)]
    channel_id: TextOrNumber<'a>,
    #[serde(borrow)]
    format: TextOrNumber<'a>,
    optimal_frame_size: Loose,
    #[serde(borrow)]
    digit: TextOrNumber<'a>,
    #[serde(borrow)]
    correlation_id: TextOrNumber<'a>,
    channel_variables: Object,
}

impl<'a> Event<'a> {
    /// `MEDIA_START connection_id:c1 format:ulaw optimal_frame_size:160 ...`: a name, and words that are a key
    /// and a value, or a value alone.
    fn of_plain(text: &'a str) -> Self {
        let mut words = text.split_ascii_whitespace();
        let mut event = Self {
            name: TextOrNumber::of(words.next().unwrap_or_default()),
            ..Self::default()
        };
        for word in words {
            let (key, value) = word.split_once(':').unwrap_or(("", word));
            let value_of = || TextOrNumber::of(value);
            match key {
                "connection_id" => event.connection_id = value_of(),
                "channel_id" => event.channel_id = value_of(),
                "format" => event.format = value_of(),
                "optimal_frame_size" => event.optimal_frame_size = Loose::of(value.parse().ok()),
                "digit" => event.digit = value_of(),
                "" if event.name.is("DTMF_END") => event.digit = value_of(),
                "correlation_id" | "" => event.correlation_id = value_of(),
                _ => {}
            }
        }
        event
    }
}

impl AsteriskWebSocket {
    fn start(&mut self, event: Event<'_>, is_json: bool, take: &mut dyn FnMut(LegMessage<'_>)) {
        if self.stream.is_some() {
            return take(LegMessage::Ignored(Ignored::SecondStart));
        }
        let Some(name) = event.format.as_str() else {
            return take(LegMessage::Ignored(Ignored::Lacks("format")));
        };
        let format = match wire::format(name, None) {
            Ok(format) => format,
            Err(why) => return take(LegMessage::Unusable(format!("{why}: {REMEDY}"))),
        };
        let sample = format.bytes_per_sample();
        let of_20_ms = format.sample_rate() as usize / 50 * sample;
        let frame = event.optimal_frame_size.0.unwrap_or(of_20_ms as u64);
        let frame = usize::try_from(frame).unwrap_or(usize::MAX);
        if frame == 0 || frame > MAX_FRAME || !frame.is_multiple_of(sample) {
            let why = format!("frames of {frame} bytes cannot be sent: {REMEDY}");
            return take(LegMessage::Unusable(why));
        }
        self.stream = Some(Stream {
            format,
            frame,
            is_json,
        });
        let stream_id = event.connection_id.owned().unwrap_or_default();
        let parameters = event.channel_variables.0;
        let find = |names: &[&str]| wire::parameter(&parameters, names);
        take(LegMessage::Started(Box::new(Started {
            call_id: event.channel_id.owned().unwrap_or(stream_id.clone()),
            stream_id,
            caller: find(&["from", "_from", "__from", "caller", "__caller"]),
            callee: find(&["to", "_to", "__to"]),
            direction: find(&["direction", "_direction", "__direction"]),
            parameters,
            format,
        })));
    }
}

impl Carrier for AsteriskWebSocket {
    fn name(&self) -> &'static str {
        "asterisk"
    }

    fn capabilities(&self) -> Capabilities {
        let whole_frames = self.stream.map(|stream| {
            let samples = stream.frame / stream.format.bytes_per_sample();
            Duration::from_secs_f64(samples as f64 / f64::from(stream.format.sample_rate()))
        });
        Capabilities {
            far_buffer: Some(Duration::from_secs(14)),
            marks: Marks::LostOnClear,
            whole_frames,
            pause: true,
            hang_up: true,
            ..Capabilities::MEDIA_STREAM
        }
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let text = match frame {
            Frame::Text(text) => text.trim_start(),
            Frame::Binary(sound) => {
                let format = self.stream.map(|stream| stream.format);
                return wire::binary_sound(format, sound, take);
            }
        };
        let is_json = text.starts_with('{');
        let event = if is_json {
            match wire::read(Frame::Text(text)) {
                Ok(event) => event,
                Err(why) => return take(LegMessage::Ignored(why)),
            }
        } else {
            Event::of_plain(text)
        };
        let Some(name) = event.name.as_str() else {
            return take(LegMessage::Ignored(Ignored::Lacks("event")));
        };
        let message = match name {
            "MEDIA_START" => return self.start(event, is_json, take),
            _ if self.stream.is_none() => LegMessage::Ignored(Ignored::BeforeStart),
            "MEDIA_MARK_PROCESSED" => match event.correlation_id.mark() {
                Some(id) => LegMessage::Mark(id),
                None => return,
            },
            "MEDIA_XOFF" => LegMessage::Full(true),
            "MEDIA_XON" => LegMessage::Full(false),
            "DTMF_END" => match event.digit.digit() {
                Some(digit) => LegMessage::Dtmf {
                    digit,
                    duration: None,
                },
                None => LegMessage::Ignored(Ignored::Lacks("digit")),
            },
            "ERROR" => LegMessage::Ignored(Ignored::Reported(wire::brief(text))),
            "STATUS" | "QUEUE_DRAINED" | "MEDIA_BUFFERING_COMPLETED" => return,
            name => wire::unknown(name),
        };
        take(message);
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        let Some(stream) = self.stream else { return };
        let mut say = |name: &str, id: Option<u64>| {
            let text = match (stream.is_json, id) {
                (true, None) => format!(r#"{{"command":"{name}"}}"#),
                (true, Some(id)) => {
                    format!(r#"{{"command":"{name}","correlation_id":"{MARK}{id}"}}"#)
                }
                (false, None) => name.to_owned(),
                (false, Some(id)) => format!("{name} {MARK}{id}"),
            };
            out.push(Outgoing::Text(text));
        };
        match command {
            LegCommand::Sound(sound) => {
                let most = MAX_MESSAGE - MAX_MESSAGE % stream.frame;
                let messages = sound.chunks(most);
                out.extend(messages.map(|message| Outgoing::Binary(message.to_vec())));
            }
            LegCommand::Mark(id) => say("MARK_MEDIA", Some(id)),
            LegCommand::Clear => {
                say("FLUSH_MEDIA", None);
                if std::mem::take(&mut self.is_paused) {
                    say("CONTINUE_MEDIA", None);
                }
            }
            LegCommand::Pause => {
                self.is_paused = true;
                say("PAUSE_MEDIA", None);
            }
            LegCommand::Resume => {
                self.is_paused = false;
                say("CONTINUE_MEDIA", None);
            }
            LegCommand::HangUp(_) => say("HANGUP", None),
            // Not among the capabilities.
            LegCommand::Dtmf(_)
            | LegCommand::Packet(_)
            | LegCommand::Started { .. }
            | LegCommand::Message(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::carriers::tests::{said, said_by, texts};

    const JSON: &str = r#"{"event":"MEDIA_START","connection_id":"c1","channel":"WebSocket/media/0x1",
        "channel_id":"pbx1-123.9","format":"slin16","optimal_frame_size":640,"ptime":20,
        "channel_variables":{"__tenant":"7","__from":"+15550100"}}"#;
    const PLAIN: &str = "MEDIA_START connection_id:c1 channel:WebSocket/media/0x1 channel_id:pbx1-123.9 \
        format:ulaw optimal_frame_size:160 ptime:20";

    #[test]
    fn both_ways_of_writing_start_the_call() {
        assert_eq!(
            said(&mut AsteriskWebSocket::default(), JSON),
            [concat!(
                "started pbx1-123.9 c1 audio/pcm at 16000 Hz from +15550100 ",
                r#"{"__tenant":"7","__from":"+15550100"}"#
            )]
        );
        let mut codec = AsteriskWebSocket::default();
        assert_eq!(
            said(&mut codec, PLAIN),
            ["started pbx1-123.9 c1 audio/pcmu from - {}"]
        );
        assert_eq!(
            codec.capabilities().whole_frames,
            Some(Duration::from_millis(20))
        );
        assert_eq!(said(&mut codec, PLAIN), ["ignored SecondStart"]);
    }

    #[test]
    fn events_are_read_in_both_ways() {
        for (start, events) in [
            (
                JSON,
                [
                    r#"{"event":"DTMF_END","channel_id":"x","digit":"5"}"#,
                    r#"{"event":"MEDIA_XOFF"}"#,
                    r#"{"event":"MEDIA_XON"}"#,
                    r#"{"event":"MEDIA_MARK_PROCESSED","correlation_id":"stapes-9"}"#,
                    r#"{"event":"QUEUE_DRAINED"}"#,
                    r#"{"event":"NEW"}"#,
                ],
            ),
            (
                PLAIN,
                [
                    "DTMF_END digit:5",
                    "MEDIA_XOFF",
                    "MEDIA_XON",
                    "MEDIA_MARK_PROCESSED correlation_id:stapes-9",
                    "QUEUE_DRAINED",
                    "NEW",
                ],
            ),
        ] {
            let mut codec = AsteriskWebSocket::default();
            assert_eq!(said(&mut codec, events[0]), ["ignored BeforeStart"]);
            said(&mut codec, start);
            let lines: Vec<_> = events
                .iter()
                .flat_map(|text| said(&mut codec, text))
                .collect();
            let expected = [
                "digit 5 None",
                "full true",
                "full false",
                "mark 9",
                "ignored UnknownKind(\"NEW\")",
            ];
            assert_eq!(lines, expected);
        }
        let mut codec = AsteriskWebSocket::default();
        said(&mut codec, PLAIN);
        assert_eq!(
            said(&mut codec, "MEDIA_MARK_PROCESSED stapes-9"),
            ["mark 9"]
        );
        assert_eq!(said(&mut codec, "DTMF_END 5"), ["digit 5 None"]);
        assert_eq!(
            said(&mut codec, "ERROR no"),
            ["ignored Reported(\"ERROR no\")"]
        );
    }

    #[test]
    fn sound_is_binary_and_in_whole_samples() {
        let mut codec = AsteriskWebSocket::default();
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[1, 2])),
            ["ignored BeforeStart"]
        );
        said(&mut codec, JSON);
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[1, 2])),
            ["sound [1, 2] - -"]
        );
        assert_eq!(
            said_by(&mut codec, Frame::Binary(&[1])),
            ["ignored BadSound"]
        );
        assert!(said_by(&mut codec, Frame::Binary(&[])).is_empty());
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_a_remedy() {
        for (from, to) in [
            ("slin16", "opus"),
            ("640", "0"),
            ("640", "639"),
            ("640", "70000"),
        ] {
            let refused = said(&mut AsteriskWebSocket::default(), &JSON.replace(from, to));
            assert!(refused[0].starts_with("refused "), "{refused:?}");
            assert!(refused[0].contains("c(slin16)"), "{refused:?}");
        }
    }

    #[test]
    fn commands_follow_the_way_in_which_the_start_was_written() {
        let commands = [
            LegCommand::Mark(u64::MAX),
            LegCommand::Clear,
            LegCommand::Pause,
            LegCommand::Clear,
            LegCommand::Pause,
            LegCommand::Resume,
            LegCommand::Clear,
            LegCommand::HangUp(""),
        ];
        let mut codec = AsteriskWebSocket::default();
        said(&mut codec, PLAIN);
        let expected = [
            "MARK_MEDIA stapes-18446744073709551615",
            "FLUSH_MEDIA",
            "PAUSE_MEDIA",
            "FLUSH_MEDIA",
            "CONTINUE_MEDIA",
            "PAUSE_MEDIA",
            "CONTINUE_MEDIA",
            "FLUSH_MEDIA",
            "HANGUP",
        ];
        assert_eq!(texts(&mut codec, &commands), expected);
        let mut codec = AsteriskWebSocket::default();
        said(&mut codec, JSON);
        let written = texts(&mut codec, &commands);
        assert!(
            written.iter().all(|text| text.len() <= MAX_COMMAND),
            "{written:?}"
        );
        assert_eq!(written[1], r#"{"command":"FLUSH_MEDIA"}"#);
        assert_eq!(
            written[0],
            r#"{"command":"MARK_MEDIA","correlation_id":"stapes-18446744073709551615"}"#
        );
    }

    #[test]
    fn messages_hold_whole_frames_and_stay_below_what_ends_the_call() {
        let mut codec = AsteriskWebSocket::default();
        said(&mut codec, JSON);
        let sound = vec![0; 640 * 250];
        let written = texts(&mut codec, &[LegCommand::Sound(&sound)]);
        assert_eq!(written, ["65280 bytes", "65280 bytes", "29440 bytes"]);
    }
}
