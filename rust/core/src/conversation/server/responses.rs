//! Handles the beginning and the end of responses.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::conversation::Conversation;
use crate::conversation::capabilities::{Media, Truncation};
use crate::conversation::event::{Event, Interest, ResponseEnded};
use crate::conversation::guard::{DueText, GuardSource};
use crate::conversation::heard::Spoken;
use crate::conversation::item::{text, text_at};
use crate::conversation::response::Begun;

impl Conversation {
    pub(super) fn response_created(&mut self, event: &Value, now: Duration) {
        let response = event.get("response").unwrap_or(&Value::Null);
        let id = text(response, "id");
        let out_of_band = is_out_of_band(response);
        let since = if out_of_band {
            None
        } else {
            self.turn_ended.take()
        };
        if !out_of_band && self.own_response_due {
            self.caller_has_spoken(now);
        }
        // The format is fixed when the response begins: a later change of the session's has no
        // effect.
        let usual = self.playback.format().or(self.asked.output());
        let stated = self.stated_format(event, &["response", "audio", "output", "format"], usual);
        self.compare_formats(stated, None);
        let format = stated.or(self.playback.format());
        let begun = Begun {
            id,
            out_of_band,
            agent_version: self.agent_version,
            format,
            since: since.unwrap_or(now),
        };
        let replaced = self.responses.begin(begun, now);
        if out_of_band {
            let metadata = response.get("metadata").filter(|it| !it.is_null());
            if let Some(record) = id.and_then(|id| self.responses.get_mut(id)) {
                record.metadata = metadata.cloned().map(Box::new);
            }
            return;
        }
        // The server's own response is not the one that was asked for before and interrupted.
        let own = std::mem::take(&mut self.own_response_due);
        let interrupted = self.sequencer.begun() && !own;
        if let Some(replaced) = replaced {
            // The server has one response of the conversation at a time: that one has ended.
            self.playback.response_complete(&replaced, now);
            self.settle_response(&replaced, now);
        }
        if self.capabilities.media == Media::InFrames {
            // Not every server says when a part's audio is complete. A media track may still play the
            // response before.
            self.end_sound();
        }
        let response_id = id.map(Arc::from);
        self.outbox.event(Event::ResponseStarted {
            response_id,
            agent_version: self.agent_version,
        });
        if interrupted {
            self.responses.silence_current(self.agent_version);
            self.cancel_current();
        } else {
            self.feedback_is_read();
        }
    }

    /// Returns whether the response had not ended before.
    pub(super) fn response_done(&mut self, event: &Value, now: Duration) -> bool {
        let response = event.get("response").unwrap_or(&Value::Null);
        let stated = text(response, "id");
        let known = stated.is_none_or(|id| self.responses.get(id).is_some());
        if let (false, true, Some(id)) = (known, is_out_of_band(response), stated) {
            self.responses.entry(id, self.agent_version).out_of_band = true;
        }
        let id = self.responses.ended_id(stated);
        let id = id.as_deref();
        let is_current = match (id, self.responses.current()) {
            (Some(id), Some(current)) => **current == *id,
            _ => true,
        };
        let was_busy = self.responses.is_busy();
        let out_of_band = id.is_some_and(|id| self.responses.is_out_of_band(id));
        let Some((agent_version, timings)) = self.responses.end(id, self.agent_version, now) else {
            return false;
        };
        if is_cancelled_by_client(response) {
            self.cancellations.stopped(id, out_of_band);
        }
        let output = response
            .get("output")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let (item_id, output_text) = last_text(output);
        if !out_of_band {
            self.complete_answers(output);
        }
        if !out_of_band && (is_current || !known) {
            self.sequencer.ended(was_busy);
        }
        if !out_of_band && is_current {
            self.feedback_is_answered(id, known || was_busy);
        }
        if let Some(id) = id {
            if !out_of_band && self.outbox.wants(Interest::GUARDRAILS) {
                self.check_earlier_messages(id, output, item_id);
            }
            self.guard.done(id);
        }
        let items = self
            .outbox
            .wants(Interest::RESPONSES)
            .then(|| Value::Array(output.to_vec()));
        let present = |key: &str| response.get(key).filter(|value| !value.is_null()).cloned();
        self.outbox
            .event(Event::ResponseEnded(Box::new(ResponseEnded {
                response_id: id.map(Arc::from),
                out_of_band,
                lost: false,
                agent_version,
                item_id: item_id.map(Arc::from),
                output: output_text.to_owned(),
                source: source_of(output),
                status: text(response, "status").map(str::to_owned),
                status_details: present("status_details"),
                usage: present("usage"),
                metadata: present("metadata"),
                items,
                timings,
                response_index: self.responses.index(),
                connection_id: self.connection_id,
            })));
        if let Some(id) = id {
            if self.capabilities.media == Media::InFrames {
                self.playback.response_complete(id, now);
            } else if text(response, "status").is_some_and(|status| status != "completed") {
                self.forget_unstarted(id);
            }
            self.count_heard();
            self.end_playback_of(&Arc::from(id));
            self.leave_words_to_history(id);
            self.settle_response(id, now);
        }
        self.flush_responses(now);
        true
    }

    /// Has the messages of a response checked that were not checked whole, but for the last, which the end of
    /// the response has checked: a model may say what it is about to do, and then the answer.
    fn check_earlier_messages(&mut self, id: &str, output: &[Value], last: Option<&str>) {
        let response_id: Arc<str> = id.into();
        for item in output {
            let Some((item_id, said)) = text(item, "id").zip(said(item)) else {
                continue;
            };
            if Some(item_id) == last || self.guard.has_checked(id, item_id, said) {
                continue;
            }
            let due = DueText {
                item_id: item_id.into(),
                text: said.to_owned(),
                source: source_of(std::slice::from_ref(item)),
            };
            self.guardrail_due(&response_id, due);
        }
    }

    /// What was said in a response that has ended, and is in the history, is kept there alone. Where
    /// the server cuts, the record's own words tell how long its audio would have been.
    fn leave_words_to_history(&mut self, id: &str) {
        if self.capabilities.truncation != Truncation::Server {
            let history = &mut self.history;
            let needed = |(item_id, part, words): &Spoken| {
                let stated = history.transcript(item_id, *part);
                stated.is_none_or(|stated| stated.len() < words.len())
            };
            self.responses.forget_transcripts(id, needed);
        }
    }

    /// The server refused a cancellation: no response was in progress.
    pub(super) fn cancel_refused(&mut self, event_id: Option<&str>, now: Duration) {
        let busy = self.responses.is_busy();
        let current = busy.then(|| self.responses.index());
        if self.cancellations.refused(event_id, current)
            && let Some(id) = self.responses.give_up()
        {
            // Its end will not come.
            self.settle_response(&id, now);
        }
    }
}

/// Whether a response has ended by a cancellation of this side's, as the server states.
fn is_cancelled_by_client(response: &Value) -> bool {
    text_at(response, &["status_details", "reason"]) == Some("client_cancelled")
}

/// Whether a response belongs to no conversation, as the server states.
pub(super) fn is_out_of_band(response: &Value) -> bool {
    response.get("conversation_id").is_some_and(Value::is_null)
}

/// The id and the text of the last message that ends in text or speech. Without one, the id is the
/// last item's and the text is empty.
fn last_text(output: &[Value]) -> (Option<&str>, &str) {
    let with_text = |item| Some((text(item, "id"), said(item)?));
    let found = output.iter().rev().find_map(with_text);
    let found = found.unwrap_or((None, ""));
    let id = found
        .0
        .filter(|id| !id.is_empty())
        .or_else(|| output.last().and_then(|item| text(item, "id")));
    (id, found.1)
}

/// The last text of an item, if it is a message that ends in text or speech.
fn said(item: &Value) -> Option<&str> {
    if text(item, "type") != Some("message") {
        return None;
    }
    let part = item.get("content")?.as_array()?.last()?;
    match text(part, "type") {
        Some("output_text" | "text") => text(part, "text"),
        Some("output_audio" | "audio") => text(part, "transcript"),
        _ => None,
    }
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
