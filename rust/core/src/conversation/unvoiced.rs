//! Words without their sound: an answer that is stopped before the sound of its words has come was not
//! heard, however much of it the server has told.

use std::sync::Arc;

use super::Conversation;
use super::capabilities::Media;
use super::playback::Cut;

impl Conversation {
    /// The response was stopped. Of its parts that have words and no sound yet, nothing was heard.
    pub(super) fn cut_unvoiced(&mut self, response_id: &str) {
        let Some(response) = self.responses.get(response_id) else {
            return;
        };
        let parts: Vec<(Arc<str>, usize)> = response
            .transcripts
            .iter()
            .map(|(item_id, part, _)| (Arc::clone(item_id), *part))
            .collect();
        let mut history_changed = false;
        for (item_id, part) in parts {
            history_changed |= self.cut_unheard(response_id, &item_id, part);
        }
        if history_changed {
            self.history_updated();
        }
    }

    /// Words or sound of a part come, and its response was stopped before: nothing of it is heard.
    pub(super) fn cut_late(&mut self, response_id: &str, item_id: &str, content_index: usize) {
        if self.cut_unheard(response_id, &item_id.into(), content_index) {
            self.history_updated();
        }
    }

    /// Cuts a part at its beginning, unless it is written, was heard or is cut. Returns whether the
    /// history changed.
    fn cut_unheard(&mut self, response_id: &str, item_id: &Arc<str>, content_index: usize) -> bool {
        let Some(response) = self.responses.get(response_id) else {
            return false;
        };
        // A track's sound names its response alone: what was heard of it is told by that.
        let is_of_track = self.capabilities.media == Media::Track && response.had_audio();
        if response.written
            || response.out_of_band
            || is_of_track
            || item_id.is_empty()
            || response.was_heard(item_id)
            || self.responses.is_cut(item_id, content_index)
        {
            return false;
        }
        self.cut_part(&mut Cut {
            response_id: response_id.into(),
            item_id: Arc::clone(item_id),
            content_index,
            audio_end_ms: 0,
            length_ms: 0.0,
        })
    }
}
