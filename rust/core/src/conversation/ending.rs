//! What the loss of a connection leaves unfinished is ended: every beginning that was told has its
//! end, and no item stays in progress for ever.

use serde_json::json;

use super::Conversation;
use super::event::{Event, ResponseEnded};
use super::guard::GuardSource;
use super::response::Lost;

/// What was told of the answer's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Sound {
    #[default]
    Over,
    /// It has started.
    Started,
    /// It was interrupted. The server may still say that it has generated all of it.
    Interrupted,
}

impl Conversation {
    /// Ends the responses that are in progress, the audio, and the items in progress.
    pub(super) fn end_unfinished(&mut self) {
        if self.history.end_items(|_| false) {
            self.history_updated();
        }
        self.end_response();
    }

    /// The same, where another connection follows: calls that are not answered go on.
    pub(super) fn end_unfinished_but_calls(&mut self) {
        let tool_calls = &self.tool_calls;
        self.history
            .end_items(|call_id| tool_calls.is_open(call_id));
        self.end_response();
    }

    /// Ends the sound that was passed on last, if its end was not told.
    pub(super) fn end_sound(&mut self) {
        if std::mem::take(&mut self.sound) == Sound::Started {
            self.outbox.event(Event::AudioStopped {
                agent_version: self.agent_version,
            });
        }
    }

    fn end_response(&mut self) {
        self.end_sound();
        for lost in self.responses.lose_all() {
            self.response_lost(lost);
        }
    }

    /// Ends a response for those who wait for it. One out of band is not asked for again.
    fn response_lost(&mut self, lost: Lost) {
        let (item_id, output) = lost.said.unzip();
        self.outbox
            .event(Event::ResponseEnded(Box::new(ResponseEnded {
                response_id: lost.id,
                out_of_band: lost.out_of_band,
                lost: true,
                agent_version: lost.agent_version,
                item_id,
                output: output.unwrap_or_default(),
                source: GuardSource::Text,
                status: Some("incomplete".to_owned()),
                status_details: Some(json!({"type": "incomplete", "reason": "connection_lost"})),
                usage: None,
                metadata: lost.metadata.map(|it| *it),
                items: None,
                timings: lost.timings,
                response_index: self.responses.index(),
                connection_id: self.connection_id,
            })));
    }
}
