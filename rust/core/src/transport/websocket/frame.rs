//! Frames (RFC 6455, section 5.2): the encoding of a client's masked texts, and the parsing of a
//! server's frame headers.

/// FIN, and the opcode of text.
const WHOLE_TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;
/// For a payload longer than 125 bytes, one of these stands in place of the length.
const LENGTH_IN_2_BYTES: u8 = 0x7e;
const LENGTH_IN_8_BYTES: u8 = 0x7f;

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CONTINUATION: u8 = 0x00;
const CLOSE: u8 = 0x08;
const LENGTH: u8 = 0x7f;

/// The header of a server's frame.
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

    /// Whether the frame is a whole text message, not masked and without extensions.
    pub fn is_whole_text(&self) -> bool {
        self.first == WHOLE_TEXT && !self.is_masked
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

/// Appends `text` as one frame, masked with `key`, which must be unpredictable and new for each frame
/// (section 5.3).
pub(super) fn append_text(out: &mut Vec<u8>, text: &str, key: [u8; 4]) {
    out.reserve(text.len() + 14);
    out.push(WHOLE_TEXT);
    // A length has three encodings; the shortest that fits is required.
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(length @ ..=125), _) => out.push(MASKED | length),
        (_, Ok(length)) => {
            out.push(MASKED | LENGTH_IN_2_BYTES);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(MASKED | LENGTH_IN_8_BYTES);
            out.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(text.as_bytes());
    mask(&mut out[start..], key);
}

fn mask(payload: &mut [u8], key: [u8; 4]) {
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

    /// What a server reads of these frames.
    fn read(frames: Vec<u8>) -> Vec<String> {
        let mut server = WebSocket::from_raw_socket(Cursor::new(frames), Role::Server, None);
        let mut texts = Vec::new();
        while let Ok(message) = server.read() {
            assert!(matches!(message, Message::Text(_)));
            texts.push(message.into_text().unwrap().to_string());
        }
        texts
    }

    #[test]
    fn each_way_to_write_a_length_is_read() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let text = "a".repeat(length);
            let mut frame = Vec::new();
            append_text(&mut frame, &text, [1, 2, 3, 4]);
            assert_eq!(read(frame), [text], "{length}");
        }
    }

    proptest! {
        #[test]
        fn a_server_reads_what_was_written(texts: Vec<String>, key: [u8; 4]) {
            let mut frames = Vec::new();
            for text in &texts {
                append_text(&mut frames, text, key);
            }
            prop_assert_eq!(read(frames), texts);
        }
    }
}
