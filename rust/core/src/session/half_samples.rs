//! Chunks of an answer's audio may end within a sample of two bytes. The first byte waits for the
//! next chunk of its part, so that everybody gets whole samples.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::conversation::{AudioBytes, AudioDelta, ServerEvent};

/// How many parts may have half a sample waiting. More than one is rare.
const MAX: usize = 8;

/// The first half of a sample, and the part that it belongs to.
#[derive(Debug)]
struct Half {
    response_id: Option<String>,
    item_id: String,
    content_index: usize,
    first: First,
}

/// The first byte of a sample.
#[derive(Debug, Clone, Copy)]
enum First {
    Byte(u8),
    /// Nobody wanted the audio: it was not decoded.
    Unknown,
}

/// The half samples of one connection.
#[derive(Debug, Default)]
pub(super) struct HalfSamples {
    /// Nearly all chunks are whole: they need no look at `halves`.
    any: AtomicBool,
    halves: Mutex<VecDeque<Half>>,
}

impl HalfSamples {
    /// Puts the half sample that waits before the event's audio, and keeps the one at its end.
    /// `is_16_bit` is asked where the audio has an odd number of bytes.
    pub(super) fn align(
        &self,
        event: &mut ServerEvent<'_>,
        is_16_bit: impl FnOnce(&AudioDelta<'_>) -> bool,
    ) {
        event.edit_audio(|delta, bytes| {
            let is_odd = bytes.len() % 2 == 1;
            // The driver's thread alone comes here.
            if !is_odd && !self.any.load(Ordering::Relaxed) {
                return;
            }
            let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
            let at = halves.iter().position(|half| {
                half.response_id.as_deref() == delta.response_id
                    && half.item_id == delta.item_id
                    && half.content_index == delta.content_index
            });
            let waiting = at.and_then(|at| halves.remove(at));
            if waiting.is_some() || (is_odd && is_16_bit(delta)) {
                let rest = join(waiting.as_ref(), bytes);
                if let Some(first) = rest {
                    halves.push_back(Half {
                        response_id: delta.response_id.map(str::to_owned),
                        item_id: delta.item_id.to_owned(),
                        content_index: delta.content_index,
                        first,
                    });
                    if halves.len() > MAX {
                        halves.pop_front();
                    }
                }
            }
            self.any.store(!halves.is_empty(), Ordering::Relaxed);
        });
    }
}

/// Makes the audio whole. Returns the half that is left at its end, if there is one.
fn join(waiting: Option<&Half>, bytes: AudioBytes<'_>) -> Option<First> {
    match bytes {
        AudioBytes::Length(length) => {
            let is_half = (length + usize::from(waiting.is_some())) % 2 == 1;
            is_half.then_some(First::Unknown)
        }
        AudioBytes::Data(data) => {
            match waiting.map(|half| half.first) {
                Some(First::Byte(first)) => data.insert(0, first),
                // Nothing came that could complete it.
                Some(First::Unknown) if data.is_empty() => return Some(First::Unknown),
                Some(First::Unknown) => {
                    data.remove(0);
                }
                None => {}
            }
            let is_half = data.len() % 2 == 1;
            is_half.then(|| data.pop()).flatten().map(First::Byte)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::audio::base64;
    use crate::conversation::Interest;

    /// What is left of a chunk, as data; a chunk that nobody wanted has none.
    fn push(
        halves: &HalfSamples,
        item: &str,
        sound: &[u8],
        interest: Interest,
        is_16_bit: bool,
    ) -> Vec<u8> {
        let mut delta = String::new();
        base64::encode_append_text(sound, &mut delta);
        let text = json!({
            "type": "response.output_audio.delta", "response_id": "r", "item_id": item,
            "content_index": 0, "delta": delta,
        })
        .to_string();
        let mut event = ServerEvent::parse(&text, interest);
        halves.align(&mut event, |_| is_16_bit);
        let mut left = Vec::new();
        event.edit_audio(|_, bytes| {
            if let AudioBytes::Data(data) = bytes {
                left.clone_from(data);
            }
        });
        left
    }

    #[test]
    fn halves_of_parts_that_take_turns_are_not_mixed() {
        let halves = HalfSamples::default();
        let take = |item: &str, sound: &[u8]| push(&halves, item, sound, Interest::ALL, true);
        assert_eq!(take("a", &[1, 2, 3]), [1, 2]);
        assert_eq!(take("b", &[10, 20, 30]), [10, 20]);
        assert_eq!(take("a", &[4]), [3, 4]);
        assert_eq!(take("b", &[40, 50]), [30, 40]);
        assert_eq!(take("b", &[60]), [50, 60]);
        assert!(!halves.any.load(Ordering::Relaxed));
    }

    #[test]
    fn formats_of_one_byte_a_sample_stay_as_they_are() {
        let halves = HalfSamples::default();
        for _ in 0..3 {
            let sound = push(&halves, "a", &[1, 2, 3], Interest::ALL, false);
            assert_eq!(sound, [1, 2, 3]);
        }
    }

    #[test]
    fn who_begins_to_listen_within_a_sample_gets_the_next_one_whole() {
        let halves = HalfSamples::default();
        assert!(push(&halves, "a", &[1, 2, 3], Interest(0), true).is_empty());
        let sound = push(&halves, "a", &[4, 5, 6], Interest::ALL, true);
        assert_eq!(sound, [5, 6]);
    }

    #[test]
    fn parts_that_never_go_on_fill_no_memory() {
        let halves = HalfSamples::default();
        for n in 0..1_000 {
            push(&halves, &n.to_string(), &[1], Interest::ALL, true);
        }
        assert_eq!(halves.halves.lock().unwrap().len(), MAX);
    }

    proptest! {
        /// However a part is cut into chunks, whole samples come out, and all of them.
        #[test]
        fn chunks_join_to_the_part(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..20)) {
            let halves = HalfSamples::default();
            let mut sound = Vec::new();
            for chunk in &chunks {
                let whole = push(&halves, "a", chunk, Interest::ALL, true);
                prop_assert_eq!(whole.len() % 2, 0);
                sound.extend(whole);
            }
            let mut all: Vec<u8> = chunks.concat();
            all.truncate(all.len() / 2 * 2);
            prop_assert_eq!(sound, all);
        }
    }
}
