//! One session of the bare client: what it receives is looked at as little as can be.

use std::sync::LazyLock;

use base64_simd::STANDARD;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::clock::monotonic_ns;
use crate::frame::CHUNK_BYTES;

/// 100 ms of microphone audio, encoded before.
static MICROPHONE: LazyLock<Utf8Bytes> = LazyLock::new(|| {
    let sound = STANDARD.encode_to_string(microphone_pcm());
    let event = format!("{{\"type\":\"input_audio_buffer.append\",\"audio\":\"{sound}\"}}");
    Utf8Bytes::from(event)
});

const AUDIO: &[u8] = b"{\"type\":\"response.output_audio.delta\"";
const DONE: &[u8] = b"{\"type\":\"response.done\"";
const ERROR: &[u8] = b"{\"type\":\"error\"";
/// The clock in base64: 8 bytes and one more.
const STAMP_CHARS: usize = 12;

/// 100 ms of sound.
pub fn microphone_pcm() -> Vec<u8> {
    (0..CHUNK_BYTES).map(|at| at as u8).collect()
}

pub fn microphone() -> Message {
    Message::Text(MICROPHONE.clone())
}

pub fn start() -> Message {
    Message::text("{\"type\":\"response.create\"}")
}

/// What one session received.
#[derive(Debug, Default)]
pub struct Received {
    pub latencies_ns: Vec<u64>,
    pub audio_bytes: usize,
    pub errors: usize,
    pub failure: Option<String>,
}

/// Reads until so many responses are done.
pub async fn receive<S>(mut socket: S, responses: usize) -> (S, Received)
where
    S: Stream<Item = Result<Message, Error>> + Unpin,
{
    let mut received = Received::default();
    let mut done = 0;
    while done < responses {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let text: Bytes = text.into();
                if text.starts_with(AUDIO) {
                    received.audio(&text);
                } else if text.starts_with(DONE) {
                    done += 1;
                } else if text.starts_with(ERROR) {
                    received.errors += 1;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                received.failure = Some(error.to_string());
                break;
            }
            None => {
                received.failure = Some("the server went".to_owned());
                break;
            }
        }
    }
    (socket, received)
}

impl Received {
    fn audio(&mut self, text: &[u8]) {
        const KEY: &[u8] = b"\"delta\":\"";
        let Some(at) = memchr::memmem::find(text, KEY) else {
            self.errors += 1;
            return;
        };
        let sound = &text[at + KEY.len()..text.len() - 2];
        let mut stamp = [0; STAMP_CHARS];
        stamp.copy_from_slice(&sound[..STAMP_CHARS]);
        let Ok(stamp) = STANDARD.decode_inplace(&mut stamp) else {
            self.errors += 1;
            return;
        };
        self.stamped(stamp);
        self.audio_bytes += sound.len() / 4 * 3;
    }

    /// Takes in a delta that is decoded.
    pub fn hear(&mut self, pcm: &[u8]) {
        self.stamped(pcm);
        self.audio_bytes += pcm.len();
    }

    fn stamped(&mut self, sound: &[u8]) {
        let mut clock = [0; 8];
        clock.copy_from_slice(&sound[..8]);
        let latency = monotonic_ns().saturating_sub(u64::from_le_bytes(clock));
        self.latencies_ns.push(latency);
    }
}
