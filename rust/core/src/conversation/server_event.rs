//! Parses the server's frames, outside the session's lock.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;

use crate::audio::base64;

use super::dialect::{current_name, is_whole};
use super::event::Interest;
use super::guard::GuardSource;
use super::item::{at, text_at};
use super::lenient;
use super::normalise::{index, normalise};
use super::reported_error::ReportedError;

/// A chunk of the answer's audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chunk {
    Decoded(Vec<u8>),
    /// Decoded, and converted for the user.
    Converted {
        data: Vec<u8>,
        wire_bytes: usize,
    },
    /// Nobody wants the audio: only its length in bytes is known.
    Length(usize),
    /// It is not base64; why.
    Unreadable(String),
}

/// A delta of the answer's transcript or text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextDelta<'a> {
    pub(super) source: GuardSource,
    pub(super) response_id: Option<Cow<'a, str>>,
    /// Empty if the server states none.
    pub(super) item_id: Cow<'a, str>,
    pub(super) content_index: usize,
    pub(super) text: Cow<'a, str>,
}

/// What an event says of the items that a client created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmed {
    Item(String),
    /// It is in the conversation, which some servers say last of all.
    Added(String),
    Failed,
    Other,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body<'a> {
    AudioDelta {
        response_id: Option<String>,
        /// Empty if the server states none.
        item_id: String,
        content_index: usize,
        chunk: Chunk,
    },
    TextDelta(TextDelta<'a>),
    Event {
        kind: String,
        value: Value,
    },
    /// An event that lacks what it is about; a sentence says what.
    Incomplete(String),
    Malformed(String),
}

/// A parsed frame of the server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerEvent<'a> {
    pub(super) body: Body<'a>,
    /// The text of the frame, if somebody wants raw events.
    pub(super) raw: Option<String>,
}

const AUDIO_DELTA: &str = "response.output_audio.delta";
/// The same in sessions of translation.
const TRANSLATED_AUDIO: &str = "session.output_audio.delta";
const TRANSCRIPT_DELTA: &str = "response.output_audio_transcript.delta";
const TEXT_DELTA: &str = "response.output_text.delta";
/// The common prefix of the three types.
const OUTPUT: &str = "response.output_";
/// That of the beta's names.
const RESPONSE: &str = "\"response.";
static FIND_RESPONSE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(RESPONSE));
static FIND_OUTPUT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(OUTPUT));
static FIND_DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DELTA_KEY));
const DELTA_KEY: &str = "\"delta\":";
/// The type must stand within this many bytes of a frame for the fast path to be tried.
const TYPE_WITHIN: usize = 256;

/// The fields that all deltas of an answer have.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    response_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    item_id: Option<Cow<'a, str>>,
    content_index: Option<usize>,
    #[serde(rename = "delta", borrow)]
    content: Cow<'a, str>,
}

impl<'a> ServerEvent<'a> {
    /// Parses a text frame. It never fails: an unreadable frame becomes an event that says why.
    pub fn parse(text: &'a str, interest: Interest) -> Self {
        Self::parse_with(text, interest, Vec::new)
    }

    /// Like [`Self::parse`], but decodes audio into `buffer`, which must return an empty one.
    pub fn parse_with(text: &'a str, interest: Interest, buffer: impl FnOnce() -> Vec<u8>) -> Self {
        let raw = interest.contains(Interest::RAW).then(|| text.to_owned());
        if let Some(body) = fast_path(text, interest, buffer) {
            return Self { body, raw };
        }
        let (body, mended) = match lenient::parse(text) {
            Ok((value @ Value::Object(_), mended)) => (read_object(value, interest), mended),
            Ok(_) => (
                malformed("the server sent JSON that is no object", text),
                None,
            ),
            Err(error) => (
                malformed(
                    &format!("the server sent text that is not JSON ({error})"),
                    text,
                ),
                None,
            ),
        };
        // A malformed frame has no raw event. One that was mended has the text that can be read.
        let raw = raw
            .filter(|_| !matches!(body, Body::Malformed(_)))
            .map(|raw| mended.unwrap_or(raw));
        Self { body, raw }
    }

    /// Whether the event tells that the server speaks the protocol, and to us: any event but an error.
    pub fn begins_session(&self) -> bool {
        match &self.body {
            Body::Malformed(_) => false,
            Body::Event { kind, .. } => kind != "error",
            _ => true,
        }
    }

    /// The id of the conversation, where the event says that one has begun or goes on.
    pub fn conversation_created(&self) -> Option<&str> {
        match &self.body {
            Body::Event { kind, value } if kind == "conversation.created" => {
                text_at(value, &["conversation", "id"])
            }
            _ => None,
        }
    }

    /// The error that the event reports, if it reports one.
    pub fn error(&self) -> Option<ReportedError> {
        match &self.body {
            Body::Event { kind, value } if kind == "error" => Some(ReportedError::read(value)),
            _ => None,
        }
    }

    /// Until when the session lasts, as `session.created` states it: seconds of the Unix epoch.
    pub fn expires_at(&self) -> Option<f64> {
        match &self.body {
            Body::Event { kind, value } if kind == "session.created" => {
                at(value, &["session", "expires_at"])?.as_f64()
            }
            _ => None,
        }
    }

    /// Whether the event confirms an item that was created.
    pub fn confirmed(&self) -> Confirmed {
        let id = |value: &Value| {
            let id = text_at(value, &["item", "id"]);
            id.map(str::to_owned)
        };
        match &self.body {
            Body::Event { kind, value }
                if kind == "conversation.item.done"
                    || (kind == "conversation.item.created" && is_whole(value)) =>
            {
                id(value).map_or(Confirmed::Other, Confirmed::Item)
            }
            Body::Event { kind, value } if kind == "conversation.item.added" => {
                id(value).map_or(Confirmed::Other, Confirmed::Added)
            }
            Body::Event { kind, .. } if kind == "error" => Confirmed::Failed,
            _ => Confirmed::Other,
        }
    }
}

fn malformed<'a>(what: &str, text: &str) -> Body<'a> {
    let mut start: String = text.chars().take(80).collect();
    if start.len() < text.len() {
        start.push('…');
    }
    Body::Malformed(format!("{what}: {start}"))
}

fn read_object<'a>(mut value: Value, interest: Interest) -> Body<'a> {
    normalise(&mut value);
    let Some(kind) = value.get("type").and_then(Value::as_str) else {
        return malformed(
            "the server sent an object without a type",
            &value.to_string(),
        );
    };
    let kind = current_name(kind);
    let source = source_of(kind);
    if !matches!(kind, AUDIO_DELTA | TRANSLATED_AUDIO) && source.is_none() {
        return Body::Event {
            kind: kind.to_owned(),
            value,
        };
    }
    let delta = match value.get("delta") {
        Some(Value::String(delta)) => delta.clone(),
        Some(Value::Number(delta)) => delta.to_string(),
        _ => return Body::Incomplete(format!("the server sent a {kind} without a delta")),
    };
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let response_id = text("response_id").map(str::to_owned);
    let item_id = text("item_id").unwrap_or_default().to_owned();
    let content_index = index(&value, "content_index");
    match source {
        None => Body::AudioDelta {
            response_id,
            item_id,
            content_index,
            chunk: chunk(&delta, interest, Vec::new),
        },
        Some(source) => Body::TextDelta(TextDelta {
            source,
            response_id: response_id.map(Cow::Owned),
            item_id: Cow::Owned(item_id),
            content_index,
            text: Cow::Owned(delta),
        }),
    }
}

fn chunk(encoded: &str, interest: Interest, buffer: impl FnOnce() -> Vec<u8>) -> Chunk {
    if interest.contains(Interest::AUDIO) {
        let mut pcm = buffer();
        match base64::decode_append(encoded.as_bytes(), &mut pcm) {
            Ok(()) => Chunk::Decoded(pcm),
            Err(error) => Chunk::Unreadable(error.to_string()),
        }
    } else {
        Chunk::Length(base64::decoded_len(encoded.as_bytes()))
    }
}

fn source_of(kind: &str) -> Option<GuardSource> {
    match kind {
        TRANSCRIPT_DELTA => Some(GuardSource::Audio),
        TEXT_DELTA => Some(GuardSource::Text),
        _ => None,
    }
}

/// The fast path: nearly all frames are deltas, and are parsed without a tree of JSON. A frame that
/// does not look exactly as expected takes the slow path, [`read_object`].
fn fast_path(text: &str, interest: Interest, buffer: impl FnOnce() -> Vec<u8>) -> Option<Body<'_>> {
    let head = &text.as_bytes()[..text.len().min(TYPE_WITHIN)];
    let after = |finder: &Finder<'static>, name: &str| {
        let at = finder.find(head)?;
        Some(&head[at + name.len()..])
    };
    let rest = after(&FIND_OUTPUT, OUTPUT).or_else(|| after(&FIND_RESPONSE, RESPONSE));
    match rest {
        Some([b'a', b'u', b'd', b'i', b'o', b'.', ..]) => audio_delta(text, interest, buffer),
        Some([b'a', b'u', b'd', b'i', b'o', b'_', ..] | [b't', b'e', b'x', b't', ..]) => {
            text_delta(text)
        }
        _ => None,
    }
}

fn text_delta(text: &str) -> Option<Body<'_>> {
    let read: Delta<'_> = serde_json::from_str(text).ok()?;
    Some(Body::TextDelta(TextDelta {
        source: source_of(current_name(&read.kind))?,
        response_id: read.response_id,
        item_id: read.item_id.unwrap_or_default(),
        content_index: read.content_index.unwrap_or(0),
        text: read.content,
    }))
}

/// An audio delta is a small envelope around a long run of base64, which has no escapes. So the
/// next quote ends the base64, and the JSON parser need only see the envelope.
fn audio_delta<'a>(
    text: &str,
    interest: Interest,
    buffer: impl FnOnce() -> Vec<u8>,
) -> Option<Body<'a>> {
    let key = FIND_DELTA.find(text.as_bytes())?;
    let after = &text[key + DELTA_KEY.len()..];
    let open = key + DELTA_KEY.len() + (after.len() - after.trim_start_matches(' ').len());
    let encoded = text[open..].strip_prefix('"')?;
    let encoded = &encoded[..memchr::memchr(b'"', encoded.as_bytes())?];
    let rest = &text[open + 1 + encoded.len()..];
    if rest.len() > TYPE_WITHIN || key > TYPE_WITHIN {
        return None;
    }
    let envelope = [&text[..=open], rest].concat();
    let read: Delta<'_> = serde_json::from_str(&envelope).ok()?;
    if current_name(&read.kind) != AUDIO_DELTA || !read.content.is_empty() {
        return None;
    }
    // The frame is valid JSON only if the base64 has neither an escape nor a control character.
    // Audio that decodes has neither; where only its length is computed, look for them.
    let chunk = match chunk(encoded, interest, buffer) {
        Chunk::Length(_) if has_special(encoded) => return None,
        Chunk::Unreadable(_) => return None,
        chunk => chunk,
    };
    Some(Body::AudioDelta {
        response_id: read.response_id.map(Cow::into_owned),
        item_id: read.item_id.unwrap_or_default().into_owned(),
        content_index: read.content_index.unwrap_or(0),
        chunk,
    })
}

/// Folds over all bytes without an early exit, so that it compiles to vector code: it runs over all
/// audio.
fn has_special(encoded: &str) -> bool {
    let special = encoded.bytes().fold(0, |special, byte| {
        special | u8::from(byte == b'\\') | u8::from(byte < b' ')
    });
    special != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn the_betas_names_are_read_like_todays_on_both_paths() {
        let interest = Interest::AUDIO;
        for (beta, current) in [
            ("response.audio.delta", AUDIO_DELTA),
            ("response.audio_transcript.delta", TRANSCRIPT_DELTA),
            ("response.text.delta", TEXT_DELTA),
        ] {
            let of = |kind: &str, text: &str| text.replace("KIND", kind);
            for text in [
                r#"{"type":"KIND","response_id":"r","item_id":"i","content_index":1,"delta":"AAAA"}"#,
                r#"{"delta":"AAAA","event_id":"e", "type" : "KIND","response_id":"r","item_id":"i","content_index":"1"}"#,
            ] {
                assert_eq!(
                    ServerEvent::parse(&of(beta, text), interest).body,
                    ServerEvent::parse(&of(current, text), interest).body
                );
            }
        }
        let beta = r#"{"type":"response.audio.delta","delta":"AAAA"}"#;
        assert!(fast_path(beta, interest, Vec::new).is_some());
    }

    fn both_ways(text: &str) -> (Option<Body<'_>>, Body<'_>) {
        let long = match serde_json::from_str::<Value>(text) {
            Ok(value @ Value::Object(_)) => read_object(value, Interest::ALL),
            _ => Body::Malformed(String::new()),
        };
        (fast_path(text, Interest::ALL, Vec::new), long)
    }

    #[test]
    fn the_fast_path_reads_what_the_provider_sends() {
        let text = r#"{"type":"response.output_audio.delta","event_id":"e","response_id":"r","item_id":"i","output_index":0,"content_index":2,"delta":"AAEC"}"#;
        let (short, long) = both_ways(text);
        assert_eq!(short.as_ref(), Some(&long));
        assert!(
            matches!(long, Body::AudioDelta { content_index: 2, chunk: Chunk::Decoded(pcm), .. } if pcm == [0, 1, 2])
        );
    }

    #[test]
    fn the_fast_path_reads_text_escapes_and_all() {
        for (kind, source) in [
            (TRANSCRIPT_DELTA, GuardSource::Audio),
            (TEXT_DELTA, GuardSource::Text),
        ] {
            let text = format!(
                r#"{{"type":"{kind}","response_id":"r","item_id":"i","content_index":1,"delta":"a\n\u00e9"}}"#
            );
            let (short, long) = both_ways(&text);
            assert_eq!(short.as_ref(), Some(&long));
            assert!(
                matches!(long, Body::TextDelta(delta) if delta.text == "a\né" && delta.source == source)
            );
        }
    }

    #[test]
    fn a_delta_of_another_shape_is_read_as_the_slow_path_reads_it() {
        for about in [
            r#""item_id":"i","delta":5"#,
            r#""item_id":5,"delta":"x""#,
            r#""item_id":"i","delta":"x","content_index":-1"#,
            r#""item_id":"i","delta":"x","delta":"y""#,
        ] {
            let text = format!(r#"{{"type":"{TRANSCRIPT_DELTA}",{about}}}"#);
            let (short, long) = both_ways(&text);
            assert_eq!(short, None, "{about}");
            assert!(!matches!(long, Body::Malformed(_)), "{about}");
        }
    }

    #[test]
    fn a_delta_that_names_no_item_is_a_delta_and_one_without_content_says_so() {
        for kind in [AUDIO_DELTA, TRANSCRIPT_DELTA, TEXT_DELTA] {
            for about in [r#""delta":"AAAA""#, r#""item_id":null,"delta":"AAAA""#] {
                let text = format!(r#"{{"type":"{kind}",{about}}}"#);
                let (short, long) = both_ways(&text);
                assert_eq!(short.as_ref(), Some(&long));
                let is_delta = match &long {
                    Body::AudioDelta { item_id, .. } => item_id.is_empty(),
                    Body::TextDelta(delta) => delta.item_id.is_empty(),
                    _ => false,
                };
                assert!(is_delta, "{text}");
            }
            for about in [r#""item_id":"i""#, r#""item_id":"i","delta":null"#] {
                let text = format!(r#"{{"type":"{kind}",{about}}}"#);
                let event = ServerEvent::parse(&text, Interest::ALL);
                assert!(matches!(event.body, Body::Incomplete(why) if why.contains(kind)));
                assert_eq!(event.raw, Some(text));
            }
        }
    }

    #[test]
    fn a_mended_frame_is_an_event_and_its_raw_text_is_readable() {
        let text = r#"{"type":"response.output_text.delta","item_id":"i","delta":"hi \ud83d"}"#;
        let event = ServerEvent::parse(text, Interest::ALL);
        assert!(matches!(event.body, Body::TextDelta(delta) if delta.text == "hi \u{FFFD}"));
        let raw: Value = serde_json::from_str(&event.raw.unwrap()).unwrap();
        assert_eq!(raw["delta"], "hi \u{FFFD}");
    }

    #[test]
    fn a_slash_that_is_escaped_takes_the_slow_path_and_is_read() {
        let text = r#"{"type":"response.output_audio.delta","item_id":"i","delta":"\/\/\/\/"}"#;
        let (short, long) = both_ways(text);
        assert_eq!(short, None);
        assert!(
            matches!(long, Body::AudioDelta { chunk: Chunk::Decoded(pcm), .. } if pcm == [255; 3])
        );
    }

    #[test]
    fn a_control_character_in_the_audio_makes_the_frame_malformed() {
        let text =
            "{\"type\":\"response.output_audio.delta\",\"item_id\":\"i\",\"delta\":\"AA\nA\"}";
        let event = ServerEvent::parse(text, Interest::ALL);
        assert!(matches!(event.body, Body::Malformed(_)));
        assert_eq!(event.raw, None);
    }

    #[test]
    fn a_nested_delta_is_not_taken_for_the_audio() {
        let text = r#"{"type":"response.output_audio.delta","x":{"delta":"AAAA"},"item_id":"i","delta":"AAEC"}"#;
        let (short, long) = both_ways(text);
        assert_eq!(short, None);
        assert!(
            matches!(long, Body::AudioDelta { chunk: Chunk::Decoded(pcm), .. } if pcm == [0, 1, 2])
        );
    }

    #[test]
    fn without_listeners_only_the_length_is_worked_out() {
        let text = r#"{"type":"response.output_audio.delta","item_id":"i","delta":"AAECAw=="}"#;
        let event = ServerEvent::parse(text, Interest::default());
        assert!(matches!(
            event.body,
            Body::AudioDelta {
                chunk: Chunk::Length(4),
                ..
            }
        ));
        assert_eq!(event.raw, None);
    }

    #[test]
    fn what_is_no_event_is_said_to_be_malformed() {
        for text in [
            "{not json",
            "[1,2]",
            "\"str\"",
            "null",
            r#"{"event_id":"e"}"#,
            r#"{"type":5}"#,
        ] {
            assert!(
                matches!(
                    ServerEvent::parse(text, Interest::ALL).body,
                    Body::Malformed(_)
                ),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,300}") {
            let _ = ServerEvent::parse(&text, Interest::ALL);
        }

        /// Wherever the fast path reads a frame, it reads what the slow path reads.
        #[test]
        fn the_fast_path_agrees_with_the_slow_path(
            kind in prop::sample::select(vec![AUDIO_DELTA, TRANSCRIPT_DELTA, TEXT_DELTA]),
            delta in "[A-Za-z0-9+/=\\\\\" ]{0,40}", item in ".{0,8}", spaced in any::<bool>(), extra in ".{0,20}",
        ) {
            let value = json!({"type": kind, "note": extra, "item_id": item, "delta": delta, "content_index": 1});
            let text = if spaced { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
            let (short, long) = both_ways(&text);
            if let Some(short) = short {
                prop_assert_eq!(short, long);
            }
        }
    }
}
