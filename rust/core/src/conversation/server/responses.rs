//! Handles the beginning and the end of responses.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::formats::format_at;
use crate::conversation::Conversation;
use crate::conversation::capabilities::Media;
use crate::conversation::event::{Event, ResponseEnded};
use crate::conversation::guard::GuardSource;
use crate::conversation::item::text;

impl Conversation {
    pub(super) fn response_created(&mut self, event: &Value, now: Duration) {
        let id = event.pointer("/response/id").and_then(Value::as_str);
        let since = self.turn_ended.take().unwrap_or(now);
        // The format is fixed when the response begins: a later change of the session's has no
        // effect.
        let format = format_at(event, "/response/audio/output/format").or(self.playback.format());
        self.responses
            .begin(id, self.agent_version, format, since, now);
        self.sequencer.created();
        // A media track may still play the response before.
        self.audio_started &= self.capabilities.media == Media::Track;
        self.audio_generated = false;
        let response_id = id.map(Arc::from);
        self.outbox.event(Event::ResponseStarted {
            response_id,
            agent_version: self.agent_version,
        });
    }

    pub(super) fn response_done(&mut self, event: &Value, now: Duration) {
        let response = event.get("response").unwrap_or(&Value::Null);
        let active = self.responses.active().cloned();
        let id = text(response, "id").or(active.as_deref());
        let Some((agent_version, timings)) = self.responses.end(id, self.agent_version, now) else {
            return;
        };
        let output = response
            .get("output")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let (item_id, output_text) = last_text(output);
        self.sequencer.done();
        if let Some(id) = id {
            self.guard.done(id);
        }
        let present = |key: &str| response.get(key).filter(|value| !value.is_null()).cloned();
        self.outbox
            .event(Event::ResponseEnded(Box::new(ResponseEnded {
                response_id: id.map(Arc::from),
                agent_version,
                item_id: item_id.map(Arc::from),
                output: output_text.to_owned(),
                source: source_of(output),
                status: text(response, "status").map(str::to_owned),
                status_details: present("status_details"),
                usage: present("usage"),
                timings,
                response_index: self.responses.index(),
                connection_id: self.connection_id,
            })));
        if let Some(id) = id {
            self.settle_response(id, now);
        }
        self.flush_responses(now);
    }
}

/// The id and the text of the last message that ends in text or speech. Without one, the id is the
/// last item's and the text is empty.
fn last_text(output: &[Value]) -> (Option<&str>, &str) {
    let mut found = (None, "");
    for item in output.iter().rev() {
        if text(item, "type") == Some("message")
            && let Some(said) = item
                .get("content")
                .and_then(Value::as_array)
                .and_then(|content| content.last())
                .and_then(|part| match text(part, "type") {
                    Some("output_text") => text(part, "text"),
                    Some("output_audio") => text(part, "transcript"),
                    _ => None,
                })
        {
            found = (text(item, "id"), said);
            break;
        }
    }
    let id = found
        .0
        .filter(|id| !id.is_empty())
        .or_else(|| output.last().and_then(|item| text(item, "id")));
    (id, found.1)
}

fn source_of(output: &[Value]) -> GuardSource {
    let is_audio = |part: &Value| matches!(text(part, "type"), Some("output_audio" | "audio"));
    let spoken = output.iter().any(|item| {
        text(item, "type") == Some("message")
            && item
                .get("content")
                .and_then(Value::as_array)
                .is_some_and(|parts| parts.iter().any(is_audio))
    });
    if spoken {
        GuardSource::Audio
    } else {
        GuardSource::Text
    }
}
