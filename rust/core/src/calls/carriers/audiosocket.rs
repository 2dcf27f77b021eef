//! Asterisk's `AudioSocket`: a byte stream over TCP, which Asterisk opens. A frame is a kind (1 byte), a
//! length (2 bytes, big endian) and so many bytes; samples are little endian.
//!
//! Source: docs.asterisk.org, "`AudioSocket`", `res_audiosocket.c`, and a running Asterisk 22. Its traps:
//!
//! - Asterisk keeps no buffer and never paces anew: this side sends 20 ms of sound each 20 ms, silence
//!   too. `AudioSocket()` of the dial plan ends the call after 2 s in which nothing comes.
//! - A frame must arrive in one piece: a pause of 5 ms inside it ends the call. One message of ours is one
//!   frame, for one write.
//! - Any kind from us but sound and the end ends the call, and so does sound of no length.
//! - The rate is known from the kind of the first sound only, which may never come (a caller who waits in
//!   the dial plan sends none), so the route says it. Sound at another rate is resampled to that of the
//!   route. `AudioSocket()` sends 8 kHz whatever the call has, `Dial(AudioSocket/.../c(slin16))` 16 kHz; both take
//!   any rate.
//! - `c(ulaw)` sends mu-law that calls itself linear at 8 kHz: nothing tells them apart. Use `c(slin)`.
//! - A caller who hangs up is told by the end of the TCP connection, not by a frame.
//! - There is no authentication but the UUID: listen on a private address.

use std::fmt::Write as _;

use serde_json::Map;

use crate::audio::AudioFormat;
use crate::audio::convert::Converter;
use crate::calls::carrier::{
    Capabilities, Carrier, Ignored, LegCommand, LegMessage, Marks, Media, Started,
};
use crate::transport::{Frame, Outgoing};

/// Kind and length.
const HEADER: usize = 3;

const HANG_UP: u8 = 0x00;
const ID: u8 = 0x01;
const DTMF: u8 = 0x03;
const ERROR: u8 = 0xff;

/// The kind of the first of [`RATES`]; the others follow.
const FIRST_SOUND: u8 = 0x10;
const RATES: [u32; 9] = [
    8_000, 12_000, 16_000, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Awaited,
    Started,
    /// What comes is not read any more.
    Over,
}

/// The codec of one connection.
#[derive(Debug)]
pub struct AudioSocket {
    format: AudioFormat,
    /// The kind of our sound; `None`: the wire has none for the format.
    kind: Option<u8>,
    stage: Stage,
    /// The beginning of a frame; the longest has 65,538 bytes.
    partial: Vec<u8>,
    /// For sound at another rate than that of the route.
    converter: Option<Converter>,
}

impl Default for AudioSocket {
    /// At 8 kHz, as `AudioSocket()` of the dial plan sends.
    fn default() -> Self {
        Self::new(AudioFormat::Pcm { rate: 8_000 })
    }
}

impl AudioSocket {
    /// `format`: that of the route, linear PCM at a rate that the wire knows.
    pub fn new(format: AudioFormat) -> Self {
        let at = match format {
            AudioFormat::Pcm { rate } => RATES.iter().position(|known| *known == rate),
            AudioFormat::Mulaw | AudioFormat::Alaw => None,
        };
        Self {
            format,
            kind: at.map(|at| FIRST_SOUND + at as u8),
            stage: Stage::Awaited,
            partial: Vec::new(),
            converter: None,
        }
    }

    fn refuse(&mut self, why: String, take: &mut dyn FnMut(LegMessage<'_>)) {
        self.stage = Stage::Over;
        take(LegMessage::Unusable(why));
    }

    fn start(&mut self, id: &[u8], take: &mut dyn FnMut(LegMessage<'_>)) {
        if self.stage == Stage::Started {
            return take(LegMessage::Ignored(Ignored::SecondStart));
        }
        if id.len() != 16 {
            let why = format!("the first frame holds {} bytes, a UUID has 16", id.len());
            return self.refuse(why, take);
        }
        if self.kind.is_none() {
            let why = format!(
                "the route's format is {}: AudioSocket carries linear PCM at 8000, 12000, 16000, 24000, \
                 32000, 44100, 48000, 96000 or 192000 Hz",
                self.format
            );
            return self.refuse(why, take);
        }
        self.stage = Stage::Started;
        let id = uuid(id);
        take(LegMessage::Started(Box::new(Started {
            call_id: id.clone(),
            stream_id: id,
            caller: None,
            callee: None,
            direction: None,
            parameters: Map::new(),
            format: self.format,
        })));
    }

    fn sound(&mut self, rate: u32, sound: &[u8], take: &mut dyn FnMut(LegMessage<'_>)) {
        if !sound.len().is_multiple_of(2) {
            return take(LegMessage::Ignored(Ignored::BadSound));
        }
        let format = AudioFormat::Pcm { rate };
        let sound = if format == self.format {
            sound
        } else {
            let converter = self.converter.take();
            let known = converter.filter(|it| it.source() == format);
            self.converter = known.or_else(|| Converter::new(format, self.format));
            match &mut self.converter {
                Some(converter) => converter.convert(sound),
                None => return take(LegMessage::Ignored(Ignored::BadSound)),
            }
        };
        if !sound.is_empty() {
            take(LegMessage::Media(Media {
                sound,
                number: None,
                at_ms: None,
            }));
        }
    }

    fn frame(&mut self, kind: u8, payload: &[u8], take: &mut dyn FnMut(LegMessage<'_>)) {
        let rate = kind
            .checked_sub(FIRST_SOUND)
            .and_then(|at| RATES.get(usize::from(at)));
        match (kind, rate) {
            (ID, _) => self.start(payload, take),
            (HANG_UP, _) => {
                self.stage = Stage::Over;
                take(LegMessage::Stopped("the caller has hung up".to_owned()));
            }
            (ERROR, _) => {
                let code = payload.first().copied().unwrap_or_default();
                let why = format!("error {code:#04x} of AudioSocket");
                take(LegMessage::Ignored(Ignored::Reported(why)));
            }
            (_, Some(rate)) => self.sound(*rate, payload, take),
            (DTMF, _) => take(match payload {
                [digit, ..] if digit.is_ascii() => LegMessage::Dtmf {
                    digit: char::from(*digit),
                    duration: None,
                },
                _ => LegMessage::Ignored(Ignored::Lacks("a digit")),
            }),
            _ => take(LegMessage::Ignored(Ignored::UnknownKind(format!(
                "{kind:#04x}"
            )))),
        }
    }
}

/// How many bytes a frame that begins with `bytes` lacks, as far as they tell.
fn missing(bytes: &[u8]) -> usize {
    let whole = match bytes {
        [_, high, low, ..] => HEADER + usize::from(u16::from_be_bytes([*high, *low])),
        _ => HEADER,
    };
    whole.saturating_sub(bytes.len())
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn message(kind: u8, payload: &[u8]) -> Outgoing {
    let length = (payload.len() as u16).to_be_bytes();
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.push(kind);
    bytes.extend(length);
    bytes.extend(payload);
    Outgoing::Binary(bytes)
}

impl Carrier for AudioSocket {
    fn name(&self) -> &'static str {
        "audiosocket"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            far_buffer: None,
            marks: Marks::None,
            max_marks: 0,
            hang_up: true,
            ..Capabilities::MEDIA_STREAM
        }
    }

    fn read(&mut self, frame: Frame<'_>, take: &mut dyn FnMut(LegMessage<'_>)) {
        let Frame::Binary(mut piece) = frame else {
            return take(LegMessage::Ignored(Ignored::NotOfTheProtocol));
        };
        while let Some(first) = piece.first()
            && self.stage != Stage::Over
        {
            // Something else than Asterisk is not waited for: its length would be any.
            let begins = self.partial.is_empty() && self.stage == Stage::Awaited;
            if begins && !matches!(*first, ID | HANG_UP | ERROR) {
                let why = "the first frame is no UUID: this is not AudioSocket".to_owned();
                return self.refuse(why, take);
            }
            let known = self.partial.len();
            if known == 0 && piece.len() >= HEADER {
                // What came as a whole is read where it is.
                let length = usize::from(u16::from_be_bytes([piece[1], piece[2]]));
                if let Some((whole, rest)) = piece.split_at_checked(HEADER + length) {
                    self.frame(whole[0], &whole[HEADER..], take);
                    piece = rest;
                    continue;
                }
            }
            let more = missing(&self.partial).min(piece.len());
            self.partial.extend(&piece[..more]);
            piece = &piece[more..];
            if self.partial.len() >= HEADER && missing(&self.partial) == 0 {
                let whole = std::mem::take(&mut self.partial);
                self.frame(whole[0], &whole[HEADER..], take);
                self.partial = whole;
                self.partial.clear();
            }
        }
    }

    fn write(&mut self, command: LegCommand<'_>, out: &mut Vec<Outgoing>) {
        match command {
            LegCommand::Sound(sound) => {
                let Some(kind) = self.kind else { return };
                let frame = self.format.sample_rate() as usize / 50 * 2;
                let whole = &sound[..sound.len() - sound.len() % 2];
                out.extend(whole.chunks(frame).map(|frame| message(kind, frame)));
            }
            LegCommand::HangUp(_) => out.push(message(HANG_UP, &[])),
            // Not among the capabilities; any other frame would end the call.
            LegCommand::Mark(_)
            | LegCommand::Clear
            | LegCommand::Dtmf(_)
            | LegCommand::Pause
            | LegCommand::Resume
            | LegCommand::Started { .. }
            | LegCommand::Packet(_)
            | LegCommand::Message(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: [u8; 16] = [
        0x40, 0x32, 0x5e, 0xc2, 0x5e, 0xfd, 0x4b, 0xd3, 0x80, 0x5f, 0x53, 0x57, 0x6e, 0x58, 0x1d,
        0x13,
    ];

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let Outgoing::Binary(bytes) = message(kind, payload) else {
            unreachable!()
        };
        bytes
    }

    /// What it says, as text; the sound apart.
    fn read(codec: &mut AudioSocket, bytes: &[u8], sound: &mut Vec<u8>) -> Vec<String> {
        let mut said = Vec::new();
        codec.read(Frame::Binary(bytes), &mut |message| match message {
            LegMessage::Media(media) => sound.extend(media.sound),
            LegMessage::Started(it) => said.push(format!("{} {}", it.call_id, it.format)),
            other => said.push(format!("{other:?}")),
        });
        said
    }

    #[test]
    fn the_uuid_starts_the_call_before_any_sound() {
        let (mut codec, mut sound) = (AudioSocket::default(), Vec::new());
        let said = read(&mut codec, &frame(ID, &UUID), &mut sound);
        assert_eq!(
            said,
            ["40325ec2-5efd-4bd3-805f-53576e581d13 audio/pcm at 8000 Hz"]
        );
        let said = read(&mut codec, &frame(0x10, &[1, 2, 3, 4]), &mut sound);
        assert_eq!((said, sound), (vec![], vec![1, 2, 3, 4]));
    }

    #[test]
    fn digits_errors_and_the_end_are_told() {
        let (mut codec, mut sound) = (AudioSocket::default(), Vec::new());
        let mut bytes = frame(ID, &UUID);
        bytes.extend(frame(DTMF, b"5"));
        bytes.extend(frame(ERROR, &[4]));
        bytes.extend(frame(0x42, b"?"));
        bytes.extend(frame(0x10, &[]));
        bytes.extend(frame(HANG_UP, &[]));
        bytes.extend(frame(0x10, &[1, 2]));
        let said = read(&mut codec, &bytes, &mut sound);
        assert_eq!(
            said[1..],
            [
                "Dtmf { digit: '5', duration: None }",
                "Ignored(Reported(\"error 0x04 of AudioSocket\"))",
                "Ignored(UnknownKind(\"0x42\"))",
                "Stopped(\"the caller has hung up\")",
            ]
        );
        assert!(sound.is_empty(), "nothing is read behind the end");
    }

    #[test]
    fn what_is_no_audiosocket_is_refused_at_its_first_byte() {
        let (mut codec, mut sound) = (AudioSocket::default(), Vec::new());
        let said = read(&mut codec, b"GET / HTTP/1.1\r\n", &mut sound);
        assert_eq!(
            said,
            ["Unusable(\"the first frame is no UUID: this is not AudioSocket\")"]
        );
        assert!(codec.partial.is_empty());
        assert!(read(&mut codec, b"Host: x", &mut sound).is_empty());
    }

    #[test]
    fn a_route_in_a_format_that_the_wire_lacks_is_refused() {
        let mut sound = Vec::new();
        for format in [AudioFormat::Mulaw, AudioFormat::Pcm { rate: 22_050 }] {
            let mut codec = AudioSocket::new(format);
            let said = read(&mut codec, &frame(ID, &UUID), &mut sound);
            assert!(
                said[0].starts_with("Unusable(\"the route's format is"),
                "{said:?}"
            );
        }
    }

    #[test]
    fn sound_at_another_rate_than_that_of_the_route_is_resampled() {
        let mut codec = AudioSocket::new(AudioFormat::Pcm { rate: 16_000 });
        let mut sound = Vec::new();
        read(&mut codec, &frame(ID, &UUID), &mut sound);
        for _ in 0..50 {
            read(&mut codec, &frame(0x10, &[0; 320]), &mut sound);
        }
        assert!((31_000..=32_000).contains(&sound.len()), "{}", sound.len());
    }

    #[test]
    fn sound_goes_out_in_frames_of_20_ms_each_a_message() {
        let mut codec = AudioSocket::new(AudioFormat::Pcm { rate: 16_000 });
        let mut out = Vec::new();
        codec.write(LegCommand::Sound(&[7; 640 + 640 + 11]), &mut out);
        codec.write(LegCommand::Sound(&[]), &mut out);
        codec.write(LegCommand::HangUp(""), &mut out);
        let lengths: Vec<_> = out
            .iter()
            .map(|message| match message {
                Outgoing::Binary(bytes) => (bytes[0], bytes.len()),
                _ => (0xee, 0),
            })
            .collect();
        assert_eq!(lengths, [(0x12, 643), (0x12, 643), (0x12, 13), (0x00, 3)]);
    }

    proptest! {
        #[test]
        fn pieces_of_any_length_say_what_the_whole_says(
            lengths in prop::collection::vec(0_usize..700, 1..8),
            cuts in prop::collection::vec(1_usize..400, 1..40),
        ) {
            let mut bytes = frame(ID, &UUID);
            for (at, length) in lengths.iter().enumerate() {
                bytes.extend(frame(0x10, &vec![at as u8; length * 2]));
                bytes.extend(frame(DTMF, b"1"));
            }
            let mut whole = Vec::new();
            let said = read(&mut AudioSocket::default(), &bytes, &mut whole);
            let (mut codec, mut pieces, mut parts) = (AudioSocket::default(), Vec::new(), Vec::new());
            let (mut rest, mut cuts) = (&bytes[..], cuts.into_iter().cycle());
            while !rest.is_empty() {
                let (piece, others) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                parts.extend(read(&mut codec, piece, &mut pieces));
                rest = others;
            }
            prop_assert_eq!(parts, said);
            prop_assert_eq!(pieces, whole);
        }
    }
}
