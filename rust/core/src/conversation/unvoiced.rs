//! Words without their sound: an answer that is stopped before the sound of its words has come was not
//! heard, however much of it the server has told.
//!
//! No truncation is sent: nothing of the part was played, and the response is cancelled. The history shows
//! that nothing was heard once the server states the item, at the end of the response.

use std::sync::Arc;

use super::Conversation;
use super::capabilities::Media;
use super::item::HeardExtent;

impl Conversation {
    /// The response was stopped. Of its parts that have words and no sound yet, nothing was heard.
    pub(super) fn note_unvoiced(&mut self, response_id: &str) {
        let Some(response) = self.responses.get(response_id) else {
            return;
        };
        let parts: Vec<(Arc<str>, usize)> = response
            .transcripts
            .iter()
            .map(|(item_id, part, _)| (Arc::clone(item_id), *part))
            .collect();
        for (item_id, part) in parts {
            self.note_late(response_id, &item_id, part);
        }
    }

    /// Words or sound of a part have come, and its response is stopped: unless some of it was passed on
    /// for playback, nothing of it is heard.
    pub(super) fn note_late(&mut self, response_id: &str, item_id: &str, content_index: usize) {
        let Some(response) = self.responses.get(response_id) else {
            return;
        };
        // A track's sound names its response alone: what was heard of it is told by that.
        let is_of_track = self.capabilities.media == Media::Track && response.had_audio();
        let is_unvoiced = !response.written
            && !response.out_of_band
            && !is_of_track
            && !item_id.is_empty()
            && !response.was_heard(item_id, content_index);
        if is_unvoiced && !self.responses.is_cut(item_id, content_index) {
            let nothing = HeardExtent {
                audio_end_ms: 0,
                transcript: String::new(),
            };
            self.responses.cut(&item_id.into(), content_index, nothing);
        }
    }
}
