//! What the loss of a connection leaves unfinished is ended: every beginning that was told has its
//! end, and no item stays in progress for ever.

use serde_json::json;

use super::Conversation;
use super::event::{Event, ResponseEnded};
use super::guard::GuardSource;

impl Conversation {
    /// Ends the response that is in progress, its audio, and the items in progress.
    pub(super) fn end_unfinished(&mut self) {
        if self.history.end_items() {
            self.history_updated();
        }
        if std::mem::take(&mut self.audio_started) {
            self.outbox.event(Event::AudioStopped {
                agent_version: self.agent_version,
            });
        }
        let Some(lost) = self.responses.lose_current() else {
            return;
        };
        let (item_id, output) = lost.said.unzip();
        self.outbox
            .event(Event::ResponseEnded(Box::new(ResponseEnded {
                response_id: lost.id,
                out_of_band: false,
                lost: true,
                agent_version: lost.agent_version,
                item_id,
                output: output.unwrap_or_default(),
                source: GuardSource::Text,
                status: Some("incomplete".to_owned()),
                status_details: Some(json!({"type": "incomplete", "reason": "connection_lost"})),
                usage: None,
                metadata: None,
                items: None,
                timings: lost.timings,
                response_index: self.responses.index(),
                connection_id: self.connection_id,
            })));
    }
}
