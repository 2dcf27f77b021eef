//! Which response the sound belongs to that comes beside the messages.
//!
//! RTP names no response. The server says by `output_audio_buffer.started`, `.stopped` and `.cleared`
//! which one it plays; each such segment is a stream with a number of its own, so that a driver can
//! say of sound that it still holds which segment it came in.

use std::collections::VecDeque;
use std::sync::Arc;

/// How many streams are remembered: what is older than that has long been played.
const MEMORY: usize = 8;

/// How many responses' parts are remembered.
const PARTS: usize = 32;

/// A segment of sound.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    number: u64,
    pub(super) response_id: Arc<str>,
    pub(super) item_id: Arc<str>,
    pub(super) content_index: usize,
}

#[derive(Debug, Default)]
pub(super) struct Sounding {
    /// Counts streams; they go on across connections.
    last: u64,
    /// What sounds now: the last stream, or nothing.
    open: bool,
    streams: VecDeque<Stream>,
    /// The first part with sound of each response: response, item, content index.
    parts: VecDeque<(Arc<str>, Arc<str>, usize)>,
}

impl Sounding {
    /// The stream that sound belongs to which comes now; 0 where it belongs to none.
    pub(super) fn now(&self) -> u64 {
        if self.open { self.last } else { 0 }
    }

    /// A response's part has sound.
    pub(super) fn part(&mut self, response_id: &str, item_id: &str, content_index: usize) {
        if self.parts.iter().any(|(known, ..)| **known == *response_id) {
            return;
        }
        let (response_id, item_id) = (Arc::<str>::from(response_id), Arc::<str>::from(item_id));
        for stream in &mut self.streams {
            if stream.response_id == response_id {
                stream.item_id = Arc::clone(&item_id);
                stream.content_index = content_index;
            }
        }
        self.parts.push_back((response_id, item_id, content_index));
        if self.parts.len() > PARTS {
            self.parts.pop_front();
        }
    }

    /// The server begins to play a response.
    pub(super) fn started(&mut self, response_id: &str) {
        let part = self
            .parts
            .iter()
            .find(|(known, ..)| **known == *response_id);
        let (item_id, content_index) = part.map_or_else(
            || ("".into(), 0),
            |(_, item_id, content_index)| (Arc::clone(item_id), *content_index),
        );
        self.last += 1;
        self.open = true;
        self.streams.push_back(Stream {
            number: self.last,
            response_id: response_id.into(),
            item_id,
            content_index,
        });
        if self.streams.len() > MEMORY {
            self.streams.pop_front();
        }
    }

    /// It has sent all of it.
    pub(super) fn stopped(&mut self) {
        self.open = false;
    }

    pub(super) fn stream(&self, number: u64) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.number == number)
    }

    /// Forgets a stream; whether it was known.
    pub(super) fn end(&mut self, number: u64) -> Option<Stream> {
        let at = self
            .streams
            .iter()
            .position(|stream| stream.number == number)?;
        self.streams.remove(at)
    }

    /// The connection is over.
    pub(super) fn reset(&mut self) {
        self.open = false;
        self.streams.clear();
        self.parts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_belongs_to_the_response_that_the_server_names() {
        let mut sounding = Sounding::default();
        assert_eq!(sounding.now(), 0);
        sounding.part("r1", "i1", 1);
        sounding.part("r1", "i2", 0);
        sounding.started("r1");
        let first = sounding.now();
        let stream = sounding.stream(first).unwrap();
        assert_eq!((&*stream.item_id, stream.content_index), ("i1", 1));
        sounding.stopped();
        assert_eq!(sounding.now(), 0);
        // What a driver still holds of it belongs to it all the same.
        assert!(sounding.stream(first).is_some());
        sounding.started("r2");
        assert_ne!(sounding.now(), first);
        sounding.part("r2", "i3", 0);
        assert_eq!(&*sounding.stream(sounding.now()).unwrap().item_id, "i3");
        assert!(sounding.end(first).is_some() && sounding.end(first).is_none());
    }

    #[test]
    fn a_server_that_says_much_fills_no_memory() {
        let mut sounding = Sounding::default();
        for n in 0..1000 {
            sounding.part(&format!("r{n}"), "i", 0);
            sounding.started(&format!("r{n}"));
        }
        assert_eq!(sounding.streams.len(), MEMORY);
        assert_eq!(sounding.parts.len(), PARTS);
        assert_eq!(sounding.now(), 1000);
    }
}
