//! What the tests of all carriers share, and what holds for each of them.

use std::time::Duration;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;
use crate::calls::carrier::{Capabilities, LegCommand, LegMessage};
use crate::calls::{Effects, Leg, LegOptions};
use crate::transport::{Frame, Outgoing};

/// What a text says, one line for each message.
pub(super) fn said(codec: &mut dyn Carrier, text: &str) -> Vec<String> {
    said_by(codec, Frame::Text(text))
}

pub(super) fn said_by(codec: &mut dyn Carrier, frame: Frame<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let number = |number: Option<u64>| number.map_or("-".to_owned(), |number| number.to_string());
    codec.read(frame, &mut |message| {
        lines.push(match message {
            LegMessage::Started(it) => {
                let parameters = Value::Object(it.parameters);
                let from = it.caller.as_deref().unwrap_or("-");
                format!(
                    "started {} {} {} from {from} {parameters}",
                    it.call_id, it.stream_id, it.format
                )
            }
            LegMessage::Unusable(why) => format!("refused {why}"),
            LegMessage::Media(media) => {
                let (chunk, at) = (number(media.number), number(media.at_ms));
                format!("sound {:?} {chunk} {at}", media.sound)
            }
            LegMessage::Packet(packet, at_ms) => format!("packet {packet:?} {at_ms}"),
            LegMessage::Dtmf { digit, duration } => format!("digit {digit} {duration:?}"),
            LegMessage::Mark(id) => format!("mark {id}"),
            LegMessage::Unplayed(ms) => format!("unplayed {ms}"),
            LegMessage::Message(text) => format!("message {text}"),
            LegMessage::Full(full) => format!("full {full}"),
            LegMessage::Held(held) => format!("held {held}"),
            LegMessage::Stopped(_) => "stopped".to_owned(),
            LegMessage::Ignored(why) => format!("ignored {why:?}"),
        });
    });
    lines
}

/// What is written: texts as they are, binary messages as their length.
pub(super) fn texts(codec: &mut dyn Carrier, commands: &[LegCommand<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    for command in commands {
        codec.write(*command, &mut out);
    }
    let texts = out.into_iter().map(|message| match message {
        Outgoing::Text(text) => text,
        Outgoing::Binary(bytes) => format!("{} bytes", bytes.len()),
        Outgoing::Close { .. } => "close".to_owned(),
    });
    texts.collect()
}

/// The start of a call in the smallest form in which each carrier tells it; its sound has 16 bits at 8 kHz
/// where it may.
fn start(name: &str) -> Result<&'static str, Vec<u8>> {
    Ok(match name {
        "twilio" => r#"{"event":"start","start":{"streamSid":"s","callSid":"c"}}"#,
        "signalwire" => {
            r#"{"event":"start","start":{"streamSid":"s","callSid":"c","mediaFormat":{"encoding":"L16"}}}"#
        }
        "telnyx" => {
            r#"{"event":"start","stream_id":"s","start":{"media_format":{"encoding":"L16"}}}"#
        }
        "plivo" => {
            r#"{"event":"start","start":{"streamId":"s","mediaFormat":"audio/x-l16;rate=8000"}}"#
        }
        "vonage" => r#"{"event":"websocket:connected","content-type":"audio/l16;rate=8000"}"#,
        "asterisk" => r#"{"event":"MEDIA_START","connection_id":"s","format":"slin"}"#,
        "jambonz" => r#"{"callSid":"c","sampleRate":8000}"#,
        "browser" => r#"{"type":"start","call_id":"0123456789abcdef","sample_rate":8000}"#,
        _ => return Err([&[1, 0, 16][..], &[7; 16]].concat()),
    })
}

fn begin(name: &str, codec: &mut dyn Carrier) -> Vec<String> {
    match start(name) {
        Ok(text) => said(codec, text),
        Err(bytes) => said_by(codec, Frame::Binary(&bytes)),
    }
}

/// What the far end makes of our messages: a reader that knows no more than the carriers' pages.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Sound(Vec<u8>),
    Said(String),
}

fn far_end(name: &str, message: Outgoing) -> Heard {
    let text = match message {
        Outgoing::Binary(bytes) if name == "audiosocket" => {
            let length = usize::from(u16::from_be_bytes([bytes[1], bytes[2]]));
            assert_eq!(length, bytes.len() - 3);
            match bytes[0] {
                0 => return Heard::Said("hang up".to_owned()),
                0x10 => {
                    assert!((1..=320).contains(&length), "{length}");
                    return Heard::Sound(bytes[3..].to_vec());
                }
                kind => panic!("{kind:#x} ends the call"),
            }
        }
        Outgoing::Binary(bytes) => {
            assert!(matches!(
                name,
                "vonage" | "asterisk" | "jambonz" | "browser"
            ));
            let most = match name {
                "vonage" => 320,
                "asterisk" => 65_500,
                _ => usize::MAX,
            };
            assert!((1..=most).contains(&bytes.len()));
            return Heard::Sound(bytes);
        }
        Outgoing::Text(text) => text,
        Outgoing::Close { .. } => panic!("a codec closes nothing"),
    };
    assert!(name != "asterisk" || text.len() <= 128, "it is not read");
    let json: Value = serde_json::from_str(&text).unwrap();
    let at = |pointer: &str| json.pointer(pointer).and_then(Value::as_str);
    let kind = at("/event")
        .or(at("/command"))
        .or(at("/action"))
        .or(at("/type"));
    let named = [
        "/mark/name",
        "/data/name",
        "/payload/name",
        "/name",
        "/correlation_id",
    ];
    let mark = || named.iter().find_map(|pointer| at(pointer)).unwrap();
    Heard::Said(match kind.unwrap() {
        "media" | "playAudio" => {
            return Heard::Sound(STANDARD.decode(at("/media/payload").unwrap()).unwrap());
        }
        "mark" if name == "browser" => format!("mark stapes-{}", json["id"]),
        "mark" | "checkpoint" | "notify" | "MARK_MEDIA" => format!("mark {}", mark()),
        "clear" | "clearAudio" | "killAudio" | "FLUSH_MEDIA" => "clear".to_owned(),
        "dtmf" => format!("digit {}", at("/dtmf/digit").unwrap()),
        "sendDTMF" => format!("digit {}", at("/dtmf").unwrap()),
        "PAUSE_MEDIA" | "pause" => "pause".to_owned(),
        "CONTINUE_MEDIA" | "resume" => "resume".to_owned(),
        "HANGUP" | "disconnect" | "end" => "hang up".to_owned(),
        other => panic!("{other} is no command"),
    })
}

#[derive(Debug, Clone)]
enum Act {
    Sound(Vec<u8>),
    Mark(u64),
    Clear,
    Dtmf(char),
    Pause,
    Resume,
    HangUp,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let frames = prop::collection::vec(any::<u8>(), 1..500).prop_map(|frames| {
        let sound: Vec<u8> = frames.iter().flat_map(|value| vec![*value; 320]).collect();
        Act::Sound(sound)
    });
    let act = prop_oneof![
        frames,
        any::<u64>().prop_map(Act::Mark),
        Just(Act::Clear),
        any::<char>().prop_map(Act::Dtmf),
        Just(Act::Pause),
        Just(Act::Resume),
        Just(Act::HangUp),
    ];
    prop::collection::vec(act, 0..20)
}

/// What the far end is to hear of an act.
fn expected(act: &Act, can: Capabilities, is_paused: &mut bool) -> Vec<Heard> {
    let said = |text: &str| vec![Heard::Said(text.to_owned())];
    match act {
        Act::Sound(sound) => vec![Heard::Sound(sound.clone())],
        Act::Mark(id) if can.max_marks > 0 => said(&format!("mark stapes-{id}")),
        Act::Clear if can.far_buffer.is_some() => {
            let mut heard = said("clear");
            if std::mem::take(is_paused) {
                heard.extend(said("resume"));
            }
            heard
        }
        Act::Dtmf(digit) if can.dtmf => said(&format!("digit {digit}")),
        Act::Pause if can.pause => {
            *is_paused = true;
            said("pause")
        }
        Act::Resume if can.pause => {
            *is_paused = false;
            said("resume")
        }
        Act::HangUp if can.hang_up => said("hang up"),
        _ => Vec::new(),
    }
}

/// Sound that follows sound is one.
fn joined(heard: impl IntoIterator<Item = Heard>) -> Vec<Heard> {
    let mut joined: Vec<Heard> = Vec::new();
    for one in heard {
        match (joined.last_mut(), one) {
            (Some(Heard::Sound(before)), Heard::Sound(sound)) => before.extend(sound),
            (_, one) => joined.push(one),
        }
    }
    joined
}

#[test]
fn every_name_is_that_of_its_codec_and_every_codec_starts() {
    for name in NAMES {
        let mut codec = by_name(name, CarrierOptions::default()).unwrap();
        assert_eq!(codec.name(), name);
        let lines = begin(name, codec.as_mut());
        assert!(lines[0].starts_with("started"), "{name}: {lines:?}");
        assert_eq!(lines.len(), 1);
    }
    assert!(by_name("carrier pigeon", CarrierOptions::default()).is_none());
}

#[test]
fn a_second_start_of_the_same_stream_has_no_effect() {
    for name in NAMES {
        let mut codec = by_name(name, CarrierOptions::default()).unwrap();
        begin(name, codec.as_mut());
        let lines = begin(name, codec.as_mut());
        assert!(
            lines.iter().all(|line| line.starts_with("ignored")),
            "{name}: {lines:?}"
        );
    }
}

/// What a leg over `AudioSocket` sends, as the kind and length of each frame.
fn audiosocket_frames(leg: &mut Leg) -> Vec<(u8, usize)> {
    let mut batch = Vec::new();
    leg.take_outgoing(&mut batch, usize::MAX);
    let frames = batch.into_iter().map(|message| match message {
        Outgoing::Binary(bytes) => (bytes[0], bytes.len() - 3),
        _ => (0xee, 0),
    });
    frames.collect()
}

#[test]
fn a_leg_over_audiosocket_sends_a_frame_each_20_ms_silence_too_and_hangs_up_by_a_frame() {
    let carrier = by_name("audiosocket", CarrierOptions::default()).unwrap();
    let mut leg = Leg::new(carrier, LegOptions::default(), Duration::ZERO);
    let mut effects = Effects::default();
    let id = start("audiosocket").unwrap_err();
    leg.receive(Frame::Binary(&id), Duration::ZERO, &mut effects);
    assert!(effects.started);
    let at = |ms| Duration::from_millis(ms);
    let mut sent = Vec::new();
    let mut now = Duration::ZERO;
    while now < at(200) {
        now = leg.poll_timeout(now).unwrap().max(now);
        if now >= at(100) && sent.len() == 5 {
            leg.play(&[1; 480], leg.format(), now);
        }
        leg.handle_timeout(now, &mut effects);
        sent.extend(audiosocket_frames(&mut leg));
    }
    assert_eq!(sent, vec![(0x10, 320); sent.len()]);
    assert!((10..=11).contains(&sent.len()), "{}", sent.len());
    leg.hang_up(false, now);
    assert_eq!(audiosocket_frames(&mut leg), [(0x00, 0), (0xee, 0)]);
}

#[test]
fn a_leg_sends_all_that_is_played_whatever_the_length_of_the_carriers_frames() {
    for frame_ms in [10, 20, 30, 40, 60, 120, 500] {
        let carrier = by_name("asterisk", CarrierOptions::default()).unwrap();
        let mut leg = Leg::new(carrier, LegOptions::default(), Duration::ZERO);
        let (mut effects, mut batch) = (Effects::default(), Vec::new());
        let size = frame_ms * 16;
        let start = format!("MEDIA_START connection_id:s format:slin optimal_frame_size:{size}");
        leg.receive(Frame::Text(&start), Duration::ZERO, &mut effects);
        leg.play(&vec![1; 16 * 1_010], leg.format(), Duration::ZERO);
        for ms in (0..2_000).step_by(20) {
            leg.handle_timeout(Duration::from_millis(ms), &mut effects);
        }
        leg.take_outgoing(&mut batch, usize::MAX);
        let sizes: Vec<_> = batch
            .iter()
            .filter_map(|message| match message {
                Outgoing::Binary(bytes) => Some(bytes.len()),
                _ => None,
            })
            .collect();
        assert!(
            sizes.iter().all(|bytes| bytes.is_multiple_of(size)),
            "{frame_ms} ms: {sizes:?}"
        );
        let expected = (16 * 1_010_usize).next_multiple_of(size);
        assert_eq!(
            sizes.iter().sum::<usize>(),
            expected,
            "{frame_ms} ms: {sizes:?}"
        );
    }
}

/// The texts that mean something to one carrier or another.
const KEYS: [&str; 40] = [
    "event",
    "start",
    "media",
    "payload",
    "mark",
    "name",
    "dtmf",
    "digit",
    "duration",
    "stop",
    "type",
    "data",
    "streamSid",
    "stream_id",
    "streamId",
    "s",
    "stapes-1",
    "stapes-",
    "AAAA",
    "////",
    "-1",
    "1e999",
    "MEDIA_START",
    "format",
    "slin",
    "optimal_frame_size",
    "MEDIA_XOFF",
    "MEDIA_MARK_PROCESSED",
    "correlation_id",
    "websocket:connected",
    "websocket:notify",
    "content-type",
    "sampleRate",
    "cleared",
    "playedStream",
    "error",
    "chunk",
    "timestamp",
    "mediaFormat",
    "extra_headers",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(&KEYS[..]).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let key = prop::sample::select(&KEYS[..]).prop_map(str::to_owned);
        prop_oneof![
            3 => prop::collection::vec((key, inner.clone()), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect::<Map<_, _>>())),
            1 => prop::collection::vec(inner, 0..3).prop_map(Value::from),
        ]
    })
}

#[derive(Debug, Clone)]
enum Step {
    Text(String),
    Binary(Vec<u8>),
    Start,
    Play(usize),
    Clear,
    Pause(bool),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let plain = prop::collection::vec(prop::sample::select(&KEYS[..]), 0..5);
    let step = prop_oneof![
        4 => any_json().prop_map(|json| Step::Text(json.to_string())),
        1 => plain.prop_map(|words| Step::Text(words.join(" "))),
        1 => plain_pairs().prop_map(Step::Text),
        1 => ".{0,40}".prop_map(Step::Text),
        2 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Binary),
        2 => Just(Step::Start),
        1 => (0_usize..20_000).prop_map(Step::Play),
        1 => Just(Step::Clear),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => (0_u64..2_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..30)
}

fn plain_pairs() -> impl Strategy<Value = String> {
    let words = || prop::sample::select(&KEYS[..]);
    let pairs = prop::collection::vec((words(), words()), 0..4);
    (words(), pairs).prop_map(|(name, pairs)| {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(key, value)| format!("{key}:{value}"))
            .collect();
        format!("{name} {}", pairs.join(" "))
    })
}

proptest! {
    #[test]
    fn whatever_a_carrier_sends_nothing_panics_and_what_is_kept_is_bounded(
        name in prop::sample::select(&NAMES[..]),
        is_big_endian: bool,
        steps in steps(),
    ) {
        let options = CarrierOptions { is_big_endian, ..CarrierOptions::default() };
        let mut leg = Leg::new(by_name(name, options).unwrap(), LegOptions::default(), Duration::ZERO);
        let (mut now, mut effects, mut batch) = (Duration::ZERO, Effects::default(), Vec::new());
        for step in steps {
            match step {
                Step::Text(text) => leg.receive(Frame::Text(&text), now, &mut effects),
                Step::Binary(bytes) => leg.receive(Frame::Binary(&bytes), now, &mut effects),
                Step::Start => match start(name) {
                    Ok(text) => leg.receive(Frame::Text(text), now, &mut effects),
                    Err(bytes) => leg.receive(Frame::Binary(&bytes), now, &mut effects),
                },
                Step::Play(length) => {
                    leg.play(&vec![1; length], AudioFormat::default(), now);
                }
                Step::Clear => leg.clear(now),
                Step::Pause(paused) => {
                    leg.pause_output(paused, now);
                }
                Step::Wait(ms) => {
                    now += Duration::from_millis(ms);
                    leg.handle_timeout(now, &mut effects);
                }
            }
            leg.take_outgoing(&mut batch, usize::MAX);
            batch.clear();
            effects = Effects::default();
        }
    }

    #[test]
    fn what_is_written_is_what_the_far_end_reads(
        name in prop::sample::select(&NAMES[..]),
        acts in acts(),
    ) {
        let mut codec = by_name(name, CarrierOptions::default()).unwrap();
        begin(name, codec.as_mut());
        let can = codec.capabilities();
        let (mut out, mut meant, mut is_paused) = (Vec::new(), Vec::new(), false);
        for act in &acts {
            meant.extend(expected(act, can, &mut is_paused));
            let command = match act {
                Act::Sound(sound) => LegCommand::Sound(sound),
                Act::Mark(id) => LegCommand::Mark(*id),
                Act::Clear => LegCommand::Clear,
                Act::Dtmf(digit) => LegCommand::Dtmf(*digit),
                Act::Pause => LegCommand::Pause,
                Act::Resume => LegCommand::Resume,
                Act::HangUp => LegCommand::HangUp("over"),
            };
            codec.write(command, &mut out);
        }
        let heard = out.into_iter().map(|message| far_end(name, message));
        prop_assert_eq!(joined(heard), joined(meant));
    }
}
