//! What is streamed to a client, step by step.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::json;

use crate::clock::monotonic_ns;
use crate::counts::{Counts, add};
use crate::frame::{AudioDelta, CHUNK_BYTES, Event};

/// A frame to send, in one part or two.
#[derive(Debug)]
pub struct Outgoing {
    pub head: Bytes,
    pub tail: Option<Bytes>,
}

impl From<Bytes> for Outgoing {
    fn from(head: Bytes) -> Self {
        Self { head, tail: None }
    }
}

impl From<[Bytes; 2]> for Outgoing {
    fn from([head, tail]: [Bytes; 2]) -> Self {
        let tail = Some(tail);
        Self { head, tail }
    }
}

/// A part of a script.
#[derive(Debug)]
pub enum Part {
    /// All of them in one step.
    Events(Vec<Event>),
    /// One audio delta and one transcript delta a step.
    Speech {
        audio: AudioDelta,
        text: Event,
        left: usize,
    },
    /// One a step.
    Repeated { event: Event, left: usize },
    /// The items of an earlier conversation, one a step; the first has this number.
    Earlier { first: usize, left: usize },
}

/// Parts, one after the other.
#[derive(Debug, Default)]
pub struct Script(VecDeque<Part>);

impl Script {
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// Writes the next step to `out`; false when there is none.
    pub fn step(&mut self, counts: &Counts, out: &mut Vec<Outgoing>) -> bool {
        loop {
            match self.0.front_mut() {
                None => return false,
                Some(Part::Events(events)) => {
                    let now = monotonic_ns();
                    out.extend(events.iter().map(|event| event.at(now).into()));
                    self.0.pop_front();
                    return true;
                }
                Some(Part::Speech { audio, text, left }) if *left > 0 => {
                    *left -= 1;
                    add(&counts.audio_deltas, 1);
                    add(&counts.audio_bytes, CHUNK_BYTES as u64);
                    let now = monotonic_ns();
                    out.push(audio.at(now).into());
                    out.push(text.at(now).into());
                    return true;
                }
                Some(Part::Repeated { event, left }) if *left > 0 => {
                    *left -= 1;
                    out.push(event.at(monotonic_ns()).into());
                    return true;
                }
                Some(Part::Earlier { first, left }) if *left > 0 => {
                    out.push(earlier(*first).at(monotonic_ns()).into());
                    *first += 1;
                    *left -= 1;
                    return true;
                }
                Some(_) => {
                    self.0.pop_front();
                }
            }
        }
    }
}

fn earlier(number: usize) -> Event {
    let (role, kind) = [("user", "input_text"), ("assistant", "output_text")][number % 2];
    let text = format!("This is what was said in turn {number}.");
    let fields = json!({
        "previous_item_id": item_id(number - 1),
        "item": {
            "id": item_id(number), "object": "realtime.item", "type": "message", "role": role,
            "status": "completed", "content": [{"type": kind, "text": text}],
        },
    });
    Event::new("conversation.item.added", &fields)
}

pub fn item_id(number: usize) -> String {
    format!("item_{number:08}")
}
