//! Handles the server's events: one arm for each type, which calls its handler.

mod calls;
mod failures;
mod formats;
mod items;
mod line;
mod output;
mod responses;
mod speech;

use std::time::Duration;

use serde_json::Value;

use crate::conversation::Conversation;
use crate::conversation::client_event::ClientEvent;
use crate::conversation::core_error::CoreError;
use crate::conversation::dialect::is_whole;
use crate::conversation::event::{Event, Status};
use crate::conversation::history_requests::RequestKind;
use crate::conversation::item::{ItemPosition, Progress, at, text, text_at};
use crate::conversation::purpose::Purpose;

use crate::conversation::server_event::{Body, ServerEvent};

pub(super) use formats::AskedFormats;
use items::position_of;

impl Conversation {
    /// Handles a frame of the server. Whatever it contains, the conversation goes on.
    pub fn handle_server(&mut self, connection_id: u64, event: ServerEvent<'_>, now: Duration) {
        if connection_id != self.wire_id || self.status != Status::Connected {
            return;
        }
        if let Some(text) = event.raw {
            let is_replay = self.is_about_replayed(&event.body);
            self.outbox.event(Event::Raw { text, is_replay });
        }
        if self.options.purpose != Purpose::Conversation {
            return self.speech_event(event.body, now);
        }
        match event.body {
            Body::Malformed(what) | Body::Incomplete(what) => {
                self.report(CoreError::Protocol(what));
            }
            Body::AudioDelta {
                response_id,
                item_id,
                content_index,
                chunk,
            } => {
                let item_id = self.item_of_delta(response_id.as_deref(), item_id);
                self.audio_delta(response_id, item_id, content_index, chunk, now);
            }
            Body::TextDelta(mut delta) => {
                if delta.item_id.is_empty() {
                    let response_id = delta.response_id.as_deref();
                    delta.item_id = self.item_of_delta(response_id, String::new()).into();
                }
                self.answer_delta(&delta, now);
            }
            Body::Event { kind, value } => self.server_event(&kind, value, now),
        }
        self.settle_played();
    }

    /// Whether an event is about an item that the history has, and that this connection was told.
    fn is_about_replayed(&self, body: &Body<'_>) -> bool {
        let Body::Event { kind, value } = body else {
            return false;
        };
        let id = match kind.as_str() {
            "conversation.item.added" | "conversation.item.created" | "conversation.item.done" => {
                text_at(value, &["item", "id"])
            }
            "conversation.item.deleted" => text(value, "item_id"),
            _ => None,
        };
        id.is_some_and(|id| self.history_requests.is_replayed(id))
    }

    fn server_event(&mut self, kind: &str, mut event: Value, now: Duration) {
        if self.survives() {
            if self.is_resumed(kind, &mut event) {
                return;
            }
            self.note_turn(kind, &event);
        }
        match kind {
            "error" => self.server_error(event, now),
            "session.created" => self.session_created(&event),
            "session.updated" => self.session_updated(&event),
            "response.created" => self.response_created(&event, now),
            "response.done" => {
                self.calls_at_end(&event, now);
                if self.response_done(&event, now) {
                    self.report_failed_response(&event);
                }
            }
            "response.function_call_arguments.done" => self.call_arguments_done(&event),
            "response.mcp_call.failed" => self.mcp_call_failed(&event),
            "mcp_list_tools.failed" => {
                self.listing_failed(text(&event, "item_id").unwrap_or_default(), &event);
            }
            "response.output_audio.done" => self.audio_done(&event, now),
            "response.content_part.added" => self.content_part_added(&event),
            "output_audio_buffer.started" => self.output_buffer_started(&event),
            "output_audio_buffer.stopped" => self.output_buffer_stopped(&event),
            "output_audio_buffer.cleared" => self.output_buffer_cleared(&event, now),
            "response.output_item.added" => self.output_item(&event, Progress::InProgress, now),
            "response.output_item.done" => self.output_item(&event, Progress::Completed, now),
            "conversation.item.added" | "conversation.item.done"
                if self.is_replayed(kind, &event) => {}
            "conversation.item.created" => self.item_created(event, now),
            "conversation.item.deleted" if self.is_replaced(&event) => {}
            "conversation.item.added" => {
                if let Some(id) = text_at(&event, &["item", "id"]) {
                    self.history.created(id);
                    self.outbox.confirmed(id);
                }
                let position = position_of(&event);
                self.creation_confirmed(&event, &position);
                self.conversation_item(&event, position, Progress::InProgress, false, now);
            }
            "conversation.item.done" => {
                let position = position_of(&event);
                self.conversation_item(&event, position, Progress::Completed, true, now);
            }
            // An earlier event stated its position.
            "conversation.item.retrieved" => {
                self.conversation_item(
                    &event,
                    ItemPosition::Unstated,
                    Progress::Completed,
                    false,
                    now,
                );
            }
            "conversation.item.deleted" => {
                if let Some(id) = text(&event, "item_id") {
                    self.history_requests.confirmed(id, RequestKind::Delete);
                    self.history_requests.item_deleted(id);
                    self.history.remove(id);
                } else {
                    self.incomplete(kind, "an item_id");
                }
                self.history_updated();
            }
            // The event carries the transcript. Retrieving the item would transfer all of its
            // audio.
            "conversation.item.input_audio_transcription.completed" => {
                self.transcribed(kind, &event, now);
            }
            "conversation.item.input_audio_transcription.updated" => {
                self.user_transcript(&event, now);
            }
            "conversation.item.input_audio_transcription.delta"
            | "conversation.item.input_audio_transcription.text" => self.user_delta(&event, now),
            "conversation.item.input_audio_transcription.failed" => {
                self.caller_said_nothing();
                self.transcription_failed(&event);
            }
            "conversation.item.truncated"
            | "response.mcp_call.in_progress"
            | "mcp_list_tools.in_progress" => {
                self.retrieve(&event);
            }
            "input_audio_buffer.speech_started" => {
                if self.options.speech_interrupts {
                    self.caller_speaks(now);
                }
                self.note_speech(true);
            }
            "input_audio_buffer.speech_stopped" => self.speech_stopped(now),
            "input_audio_buffer.committed" => {
                self.uncommitted = false;
                self.turn_ended.get_or_insert(now);
            }
            "input_audio_buffer.cleared" => self.uncommitted = false,
            "input_audio_buffer.timeout_triggered" => self.idle_timeout(&event),
            "input_audio_buffer.dtmf_event_received" => self.dtmf_received(&event),
            "rate_limits.updated" => self.note_rate_limits(&event),
            _ => {}
        }
    }

    /// The beta's one event of an item, where today there are two.
    fn item_created(&mut self, event: Value, now: Duration) {
        let whole = is_whole(&event).then(|| event.clone());
        self.server_event("conversation.item.added", event, now);
        if let Some(event) = whole {
            self.server_event("conversation.item.done", event, now);
        }
    }

    fn transcribed(&mut self, kind: &str, event: &Value, now: Duration) {
        match (text(event, "item_id"), text(event, "transcript")) {
            (Some(id), Some(transcript)) => {
                self.history.transcribed(id, transcript);
                if transcript.trim().is_empty() {
                    self.caller_said_nothing();
                } else {
                    self.caller_has_spoken(now);
                }
            }
            (None, _) => self.incomplete(kind, "an item_id"),
            (_, None) => self.incomplete(kind, "a transcript"),
        }
        self.history_updated();
        if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
            self.outbox.event(Event::TranscriptionUsage {
                usage: usage.clone(),
            });
        }
    }

    fn speech_stopped(&mut self, now: Duration) {
        self.note_speech(false);
        self.caller_is_silent(now);
        self.turn_ended = Some(now);
        self.own_response_due = self.server_responds && !self.responses.is_busy();
    }

    /// Tracing can be set only once, so it is set when the server has stated its configuration.
    fn session_created(&mut self, event: &Value) {
        if !self.profile.traces {
            return;
        }
        let set = at(event, &["session", "tracing"]).unwrap_or(&Value::Null);
        let wanted = &self.tracing;
        if set.is_object() && !wanted.is_string() {
            tracing::warn!(
                "tracing is configured by the server already: the session's is left out"
            );
            return;
        }
        self.outbox.message(ClientEvent::tracing_update(wanted));
    }
}
