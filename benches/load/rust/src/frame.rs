//! Frames that are encoded once and only get the time written into them.

use std::sync::LazyLock;

use base64_simd::STANDARD;
use bytes::Bytes;
use serde_json::Value;

/// 100 ms of PCM16 mono at 24 kHz.
pub const CHUNK_BYTES: usize = 4800;

/// The clock and one byte more: whole groups of base64.
const STAMP_BYTES: usize = 9;
const STAMP_CHARS: usize = STAMP_BYTES / 3 * 4;
const CLOCK_DIGITS: usize = 20;
const NO_CLOCK: &str = "00000000000000000000";
const NO_STAMP: &str = "AAAAAAAAAAAA";

/// What follows the stamp in each audio delta: noise, so that nothing can be saved on it.
static AUDIO_TAIL: LazyLock<Bytes> = LazyLock::new(|| {
    let mut tail = STANDARD.encode_to_string(noise(CHUNK_BYTES - STAMP_BYTES));
    tail.push_str("\"}");
    Bytes::from(tail)
});

/// The audio of `chunks` deltas, as an item has it.
pub fn item_audio(chunks: usize) -> String {
    STANDARD.encode_to_string(noise(chunks * CHUNK_BYTES))
}

/// The same bytes each time (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| step()).collect()
}

/// An event with a hole for the clock in its `event_id`.
#[derive(Debug, Clone)]
pub struct Event {
    frame: Vec<u8>,
    clock_at: usize,
}

impl Event {
    /// `fields` is an object: what the event has besides its type and id.
    pub fn new(kind: &str, fields: &Value) -> Self {
        let (head, tail) = halves(kind, fields);
        let mut frame = header(head.len() + CLOCK_DIGITS + tail.len());
        let clock_at = frame.len() + head.len();
        frame.extend([head.as_bytes(), NO_CLOCK.as_bytes(), tail.as_bytes()].concat());
        Self { frame, clock_at }
    }

    pub fn at(&self, now: u64) -> Bytes {
        let mut frame = self.frame.clone();
        write_clock(&mut frame[self.clock_at..], now);
        Bytes::from(frame)
    }
}

/// An audio delta: the clock is in its sound as well.
#[derive(Debug, Clone)]
pub struct AudioDelta {
    head: Vec<u8>,
    clock_at: usize,
}

impl AudioDelta {
    /// `fields` end with an empty `delta`.
    pub fn new(fields: &Value) -> Self {
        let (head, tail) = halves("response.output_audio.delta", fields);
        let mid = tail.strip_suffix("\"}").expect("a delta at the end");
        let payload = head.len() + CLOCK_DIGITS + mid.len() + STAMP_CHARS + AUDIO_TAIL.len();
        let mut frame = header(payload);
        let clock_at = frame.len() + head.len();
        for part in [&head, NO_CLOCK, mid, NO_STAMP] {
            frame.extend(part.as_bytes());
        }
        Self {
            head: frame,
            clock_at,
        }
    }

    /// The frame in two parts.
    pub fn at(&self, now: u64) -> [Bytes; 2] {
        let mut head = self.head.clone();
        write_clock(&mut head[self.clock_at..], now);
        let mut stamp = [0; STAMP_BYTES];
        stamp[..8].copy_from_slice(&now.to_le_bytes());
        let at = head.len() - STAMP_CHARS;
        let _ = STANDARD.encode(&stamp, base64_simd::Out::from_slice(&mut head[at..]));
        [Bytes::from(head), AUDIO_TAIL.clone()]
    }
}

/// A frame of any text.
pub fn text(payload: &[u8]) -> Bytes {
    let mut frame = header(payload.len());
    frame.extend(payload);
    Bytes::from(frame)
}

/// A pong or a close: their payloads are short.
pub fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let mut frame = vec![0x80 | opcode, payload.len() as u8];
    frame.extend(payload);
    Bytes::from(frame)
}

/// What comes before the clock and after it.
fn halves(kind: &str, fields: &Value) -> (String, String) {
    let fields = fields.to_string();
    let tail = match fields.as_str() {
        "{}" => "\"}".to_owned(),
        some => format!("\",{}", &some[1..]),
    };
    (format!("{{\"type\":\"{kind}\",\"event_id\":\"evt_"), tail)
}

fn header(payload: usize) -> Vec<u8> {
    let mut header = vec![0x81];
    match payload {
        0..126 => header.push(payload as u8),
        126..=0xFFFF => {
            header.push(126);
            header.extend((payload as u16).to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend((payload as u64).to_be_bytes());
        }
    }
    header
}

/// With leading zeros, so that no frame changes its length.
fn write_clock(hole: &mut [u8], mut now: u64) {
    for digit in hole[..CLOCK_DIGITS].iter_mut().rev() {
        *digit = b'0' + (now % 10) as u8;
        now /= 10;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn payload(frame: &[u8]) -> Value {
        assert_eq!(frame[0], 0x81);
        let at = match frame[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        serde_json::from_slice(&frame[at..]).expect("JSON")
    }

    #[test]
    fn an_event_carries_the_clock_in_its_id() {
        let event = Event::new("session.created", &json!({"session": {"id": "s"}}));
        let got = payload(&event.at(123));
        assert_eq!(got["event_id"], "evt_00000000000000000123");
        assert_eq!(got["session"]["id"], "s");
    }

    #[test]
    fn an_audio_delta_carries_the_clock_in_its_sound() {
        let delta = AudioDelta::new(&json!({"item_id": "i", "delta": ""}));
        let got = payload(&delta.at(0x0102_0304_0506_0708).concat());
        let sound = STANDARD
            .decode_to_vec(got["delta"].as_str().expect("text"))
            .expect("base64");
        assert_eq!(sound.len(), CHUNK_BYTES);
        assert_eq!(sound[..8], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(got["event_id"], "evt_00072623859790382856");
    }

    #[test]
    fn long_frames_have_long_headers() {
        let frame = text(&vec![b'1'; 70_000]);
        assert_eq!(frame[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
    }
}
