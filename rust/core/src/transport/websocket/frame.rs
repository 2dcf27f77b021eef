//! Frames (RFC 6455, section 5.2): the encoding of whole messages, masked where a client sends them,
//! and the parsing of frame headers.

/// FIN, and the opcode of text.
const WHOLE_TEXT: u8 = 0x81;
/// FIN, and the opcode of binary data.
const WHOLE_BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
/// For a payload longer than 125 bytes, one of these stands in place of the length.
const LENGTH_IN_2_BYTES: u8 = 0x7e;
const LENGTH_IN_8_BYTES: u8 = 0x7f;

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CONTINUATION: u8 = 0x00;
const CLOSE: u8 = 0x08;
const LENGTH: u8 = 0x7f;

/// What a frame that is a message by itself holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Text,
    Binary,
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    first: u8,
    is_masked: bool,
    /// The offset of the payload in the frame.
    pub payload_at: usize,
    /// The length of the payload.
    pub length: u64,
}

impl Header {
    /// Parses the header; `None` if more bytes are needed.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let [first, second] = *frame.first_chunk()?;
        let masked = if second & MASKED == 0 { 0 } else { 4 };
        let (length, length_at) = match second & LENGTH {
            LENGTH_IN_2_BYTES => {
                let length = frame.get(2..4)?.try_into().ok()?;
                (u64::from(u16::from_be_bytes(length)), 4)
            }
            LENGTH_IN_8_BYTES => {
                let length = frame.get(2..10)?.try_into().ok()?;
                (u64::from_be_bytes(length), 10)
            }
            length => (u64::from(length), 2),
        };
        Some(Self {
            first,
            is_masked: masked > 0,
            payload_at: length_at + masked,
            length,
        })
    }

    /// The length of the frame.
    pub fn end(&self) -> u64 {
        self.length.saturating_add(self.payload_at as u64)
    }

    /// What the frame holds, if it is a whole message without extensions; `masked`: as a client's are.
    pub fn whole(&self, masked: bool) -> Option<Whole> {
        match self.first {
            _ if self.is_masked != masked => None,
            WHOLE_TEXT => Some(Whole::Text),
            WHOLE_BINARY => Some(Whole::Binary),
            _ => None,
        }
    }

    /// The key of a masked frame, which stands before its payload.
    pub fn key(&self, frame: &[u8]) -> Option<[u8; 4]> {
        let before_payload = frame.get(..self.payload_at)?;
        self.is_masked
            .then(|| before_payload.last_chunk())
            .flatten()
            .copied()
    }

    /// Whether the frame is a close frame.
    pub fn is_close(&self) -> bool {
        self.first & OPCODE == CLOSE
    }

    /// `Some(true)` if a message of several frames is open after this frame, `Some(false)` if this
    /// frame ends one, `None` if it has no part in one.
    pub fn leaves_open(&self) -> Option<bool> {
        let opcode = self.first & OPCODE;
        let is_last = self.first & FIN != 0;
        // A control frame may stand between the frames of a message and has no part in it.
        let is_control = opcode & 0x08 != 0;
        (!is_control && (opcode == CONTINUATION || !is_last)).then_some(!is_last)
    }
}

/// Appends `payload` as one frame. A client masks it with `key`, which must be unpredictable and new
/// for each frame (section 5.3); a server masks nothing.
pub(super) fn append(out: &mut Vec<u8>, whole: Whole, payload: &[u8], key: Option<[u8; 4]>) {
    out.reserve(payload.len() + 14);
    out.push(match whole {
        Whole::Text => WHOLE_TEXT,
        Whole::Binary => WHOLE_BINARY,
    });
    let masked = if key.is_some() { MASKED } else { 0 };
    // A length has three encodings; the shortest that fits is required.
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => out.push(masked | length),
        (_, Ok(length)) => {
            out.push(masked | LENGTH_IN_2_BYTES);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(masked | LENGTH_IN_8_BYTES);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(key.as_ref().map_or(&[], |key| key.as_slice()));
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = key {
        mask(&mut out[start..], key);
    }
}

/// Masks a payload, or takes the mask off it.
pub(super) fn mask(payload: &mut [u8], key: [u8; 4]) {
    // Chunks of a constant length let the compiler vectorize the loop.
    let mut pieces = payload.chunks_exact_mut(4);
    for piece in &mut pieces {
        for (byte, key) in piece.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
    for (byte, key) in pieces.into_remainder().iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::Message;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

    use super::*;

    /// What the far side reads of these frames: a server of masked ones, a client of others.
    fn read(frames: Vec<u8>, masked: bool) -> Vec<Message> {
        let role = if masked { Role::Server } else { Role::Client };
        let mut reader = WebSocket::from_raw_socket(Cursor::new(frames), role, None);
        let mut messages = Vec::new();
        while let Ok(message) = reader.read() {
            messages.push(message);
        }
        messages
    }

    #[test]
    fn each_way_to_write_a_length_is_read() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let text = "a".repeat(length);
            let mut frame = Vec::new();
            append(&mut frame, Whole::Text, text.as_bytes(), Some([1, 2, 3, 4]));
            assert_eq!(read(frame, true), [Message::text(text)], "{length}");
        }
    }

    proptest! {
        #[test]
        fn the_far_side_reads_what_was_written(
            texts: Vec<String>,
            sounds: Vec<Vec<u8>>,
            key: Option<[u8; 4]>,
        ) {
            let mut frames = Vec::new();
            let mut messages = Vec::new();
            for text in texts {
                append(&mut frames, Whole::Text, text.as_bytes(), key);
                messages.push(Message::text(text));
            }
            for sound in sounds {
                append(&mut frames, Whole::Binary, &sound, key);
                messages.push(Message::binary(sound));
            }
            prop_assert_eq!(read(frames, key.is_some()), messages);
        }
    }
}
