//! What the conversation makes of the server's events.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::audio::format::AudioFormat;

use super::capabilities::Media;
use super::event::{CoreError, Event, Interest, ResponseDone, Speaker, Status};
use super::guard::GuardSource;
use super::item::{Item, ItemPosition, Progress, text};
use super::replay::RequestKind;
use super::server_event::{Body, Chunk, ServerEvent, TextDelta, index};
use super::tool_calls::FunctionCall;
use super::{Conversation, client_event};

/// The audio format at `pointer`, where one is stated that is known.
fn format_at(value: &Value, pointer: &str) -> Option<AudioFormat> {
    match value.pointer(pointer)? {
        Value::Object(format) => {
            let rate = format
                .get("rate")
                .and_then(Value::as_u64)
                .and_then(|n| u32::try_from(n).ok());
            AudioFormat::from_wire(format.get("type")?.as_str()?, rate).ok()
        }
        // As it was written before the GA protocol.
        Value::String(name) => match name.as_str() {
            "g711_ulaw" => Some(AudioFormat::Mulaw),
            "g711_alaw" => Some(AudioFormat::Alaw),
            _ => Some(AudioFormat::default()),
        },
        _ => None,
    }
}

impl Conversation {
    /// Takes a frame of the server's. Whatever it is, the conversation goes on.
    pub fn handle_server(&mut self, connection_id: u64, event: ServerEvent<'_>, now: Duration) {
        if connection_id != self.connection_id || self.status != Status::Connected {
            return;
        }
        if let Some(text) = event.raw {
            self.outbox.event(Event::Raw { text });
        }
        match event.body {
            Body::Malformed(what) => self.report(CoreError::Protocol(what)),
            Body::AudioDelta {
                response_id,
                item_id,
                content_index,
                chunk,
            } => {
                self.audio_delta(response_id, item_id, content_index, chunk, now);
            }
            Body::TextDelta(delta) => self.answer_delta(&delta),
            Body::Event { kind, value } => self.server_event(&kind, value, now),
        }
    }

    fn server_event(&mut self, kind: &str, event: Value, now: Duration) {
        match kind {
            "error" => self.server_error(event, now),
            "session.created" => self.session_created(&event),
            "session.updated" => self.session_updated(&event),
            "response.created" => self.response_created(&event, now),
            "response.done" => self.response_done(&event, now),
            "response.output_audio.done" => self.audio_done(&event),
            "response.content_part.added" => self.content_part_added(&event),
            "output_audio_buffer.started"
            | "output_audio_buffer.stopped"
            | "output_audio_buffer.cleared" => self.output_buffer(kind, &event, now),
            "response.output_item.added" => self.output_item(&event, Progress::InProgress, now),
            "response.output_item.done" => self.output_item(&event, Progress::Completed, now),
            "conversation.item.added" => {
                if let Some(id) = event.pointer("/item/id").and_then(Value::as_str) {
                    self.history_requests.confirmed(id, RequestKind::Create);
                }
                let position = position_of(&event);
                self.conversation_item(&event, position, Progress::InProgress, false, now);
            }
            "conversation.item.done" => {
                let position = position_of(&event);
                self.conversation_item(&event, position, Progress::Completed, true, now);
            }
            // Where it stands was said before.
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
                    self.history.remove(id);
                }
                self.history_updated();
            }
            // The transcript comes with the event: to retrieve the item would bring all its audio.
            "conversation.item.input_audio_transcription.completed" => {
                if let (Some(id), Some(transcript)) =
                    (text(&event, "item_id"), text(&event, "transcript"))
                {
                    self.history.transcribed(id, transcript);
                }
                self.history_updated();
            }
            "conversation.item.input_audio_transcription.delta" => self.user_delta(&event),
            "conversation.item.truncated"
            | "response.mcp_call.in_progress"
            | "mcp_list_tools.in_progress" => {
                self.retrieve(&event);
            }
            "input_audio_buffer.speech_started" if self.options.speech_interrupts => {
                self.interrupt_answer(!self.server_interrupts, now);
            }
            "input_audio_buffer.speech_stopped" => self.turn_ended = Some(now),
            "input_audio_buffer.committed" => {
                self.turn_ended.get_or_insert(now);
            }
            _ => {}
        }
    }

    fn server_error(&mut self, event: Value, now: Duration) {
        let error = event.get("error").cloned().unwrap_or(Value::Null);
        self.report(CoreError::Server(event));
        if let Some(id) = text(&error, "event_id") {
            self.history_requests.refused(id);
        }
        self.sequencer.refused(&error);
        self.flush_responses(now);
    }

    /// Tracing can be set once only, so it is asked for when the server says what it has.
    fn session_created(&mut self, event: &Value) {
        let set = event.pointer("/session/tracing").unwrap_or(&Value::Null);
        let wanted = &self.tracing;
        if set.is_object() && !wanted.is_string() {
            tracing::warn!(
                "tracing is configured by the server already: the session's is left out"
            );
            return;
        }
        self.outbox.message(client_event::tracing_update(wanted));
    }

    fn session_updated(&mut self, event: &Value) {
        self.playback
            .set_format(format_at(event, "/session/audio/output/format"));
        self.server_interrupts = event
            .pointer("/session/audio/input/turn_detection/interrupt_response")
            .and_then(Value::as_bool)
            .unwrap_or(false);
    }

    fn response_created(&mut self, event: &Value, now: Duration) {
        let id = event.pointer("/response/id").and_then(Value::as_str);
        let since = self.turn_ended.take().unwrap_or(now);
        // A change of the session's format does not reach a response that has begun.
        let format = format_at(event, "/response/audio/output/format").or(self.playback.format());
        self.responses
            .begin(id, self.agent_version, format, since, now);
        self.sequencer.created();
        // Sound beside the messages may still be that of the response before.
        self.audio_started &= self.capabilities.media == Media::Track;
        self.audio_generated = false;
        let response_id = id.map(Arc::from);
        self.outbox.event(Event::ResponseStarted {
            response_id,
            agent_version: self.agent_version,
        });
    }

    fn response_done(&mut self, event: &Value, now: Duration) {
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
        let (item_id, output_text) = last_words(output);
        self.sequencer.done();
        if let Some(id) = id {
            self.guard.done(id);
        }
        let present = |key: &str| response.get(key).filter(|value| !value.is_null()).cloned();
        self.outbox
            .event(Event::ResponseDone(Box::new(ResponseDone {
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

    fn audio_delta(
        &mut self,
        response_id: Option<String>,
        item_id: String,
        content_index: usize,
        chunk: Chunk,
        now: Duration,
    ) {
        let bytes = match &chunk {
            Chunk::Decoded(data) => data.len(),
            Chunk::Length(bytes) => *bytes,
            Chunk::Unreadable(why) => {
                self.report(CoreError::Protocol(format!(
                    "audio of item {item_id} is no base64: {why}"
                )));
                return;
            }
        };
        let (response_id, item_id) = self.ids_of_sound(response_id, item_id);
        if self.responses.is_silenced(&response_id) {
            return;
        }
        let format = self
            .responses
            .format(&response_id)
            .or(self.playback.format())
            .unwrap_or_default();
        self.playback
            .chunk(&response_id, &item_id, content_index, bytes, format, now);
        self.heard_first(&response_id, now);
        if let Chunk::Decoded(data) = chunk {
            self.outbox.event(Event::Audio {
                response_id,
                item_id,
                content_index,
                data,
            });
        }
    }

    /// All sound of a part has the same ids: they are made once.
    fn ids_of_sound(&self, response_id: Option<String>, item_id: String) -> (Arc<str>, Arc<str>) {
        let known = self.playback.ids();
        let response_id = match (response_id, known) {
            (Some(id), Some((known, _))) if *id == **known => Arc::clone(known),
            (Some(id), _) => id.into(),
            (None, _) => self
                .responses
                .active()
                .map_or_else(|| "".into(), Arc::clone),
        };
        let item_id = match known {
            Some((_, known)) if *item_id == **known => Arc::clone(known),
            _ => item_id.into(),
        };
        (response_id, item_id)
    }

    /// All sound of a part has been generated. Where none of it was to be heard, nothing stops.
    fn audio_done(&mut self, event: &Value) {
        self.audio_generated = true;
        if self.capabilities.media == Media::Track {
            // It is made faster than it is played: it stops when the server has sent it.
            return;
        }
        self.audio_started = false;
        self.playback.generated();
        let unheard = text(event, "response_id")
            .is_some_and(|id| self.responses.is_silenced(id) && !self.responses.sounded(id));
        if !unheard {
            self.outbox.event(Event::AudioStopped {
                agent_version: self.agent_version,
            });
        }
    }

    fn answer_delta(&mut self, delta: &TextDelta<'_>) {
        self.responses.spoke(&delta.item_id, &delta.words);
        let (transcript, guardrails) = (
            self.outbox.wants(Interest::TRANSCRIPT),
            self.outbox.wants(Interest::GUARDRAILS),
        );
        if !transcript && !guardrails {
            return;
        }
        let item_id: Arc<str> = (&*delta.item_id).into();
        let response_id: Option<Arc<str>> = delta.response_id.as_deref().map(Arc::from);
        if transcript {
            self.outbox.event(Event::TranscriptDelta {
                speaker: Speaker::Assistant,
                response_id: response_id.clone(),
                item_id: Arc::clone(&item_id),
                content_index: delta.content_index,
                delta: delta.words.clone().into_owned(),
            });
        }
        let Some(response_id) = response_id.filter(|_| guardrails) else {
            return;
        };
        self.responses.adopt(&response_id, self.agent_version);
        if let Some(words) = self.guard.delta(&response_id, &item_id, &delta.words) {
            self.outbox.event(Event::GuardrailDue {
                agent_version: self
                    .responses
                    .agent_version(&response_id)
                    .unwrap_or(self.agent_version),
                response_id,
                item_id,
                text: words,
                source: delta.source,
                response_index: self.responses.index(),
                connection_id: self.connection_id,
            });
        }
    }

    fn user_delta(&mut self, event: &Value) {
        if let (Some(item_id), Some(delta)) = (text(event, "item_id"), text(event, "delta"))
            && self.outbox.wants(Interest::TRANSCRIPT)
        {
            self.outbox.event(Event::TranscriptDelta {
                speaker: Speaker::User,
                response_id: None,
                item_id: item_id.into(),
                content_index: index(event, "content_index"),
                delta: delta.to_owned(),
            });
        }
    }

    fn unreadable_item(&mut self, what: &str) {
        self.report(CoreError::Protocol(format!(
            "the server sent a {what} item without an id or role"
        )));
    }

    /// An item of a response: where it stands is not said.
    fn output_item(&mut self, event: &Value, progress: Progress, now: Duration) {
        let Some(wire) = event.get("item") else {
            return;
        };
        match text(wire, "type") {
            Some("function_call") if text(wire, "status") == Some("completed") => {
                self.function_call(event, wire, now);
            }
            Some("mcp_call" | "mcp_tool_call") => match Item::mcp_call(wire, progress) {
                Some(item) => {
                    self.put_item(item);
                }
                None => self.unreadable_item("mcp_call"),
            },
            Some("message") => match Item::message(wire, ItemPosition::Unstated, progress) {
                Some(item) => {
                    self.put_item(item);
                }
                None => self.unreadable_item("message"),
            },
            _ => {}
        }
    }

    fn function_call(&mut self, event: &Value, wire: &Value, now: Duration) {
        // In progress for whoever looks at it: complete is it with its output.
        let Some(item) = Item::function_call(wire, Progress::InProgress, None) else {
            return self.unreadable_item("function_call");
        };
        let item = self.put_item(item);
        let Some(response_id) = text(event, "response_id").filter(|id| !id.is_empty()) else {
            return self.report(CoreError::Model(format!(
                "function call {} names no response: it cannot be run safely",
                item.id
            )));
        };
        let field = |key: &str| text(wire, key).unwrap_or_default().to_owned();
        let call_id = text(wire, "call_id")
            .filter(|id| !id.is_empty())
            .unwrap_or(&item.id);
        let call = FunctionCall {
            item_id: Arc::clone(&item.id),
            call_id: call_id.into(),
            name: field("name"),
            arguments: field("arguments"),
            response_id: response_id.into(),
            agent_version: self.responses.capture(response_id, self.agent_version),
            connection_id: self.connection_id,
        };
        self.call_arrived(call, now);
    }

    /// An item of the conversation.
    fn conversation_item(
        &mut self,
        event: &Value,
        position: ItemPosition,
        progress: Progress,
        done: bool,
        now: Duration,
    ) {
        let Some(wire) = event.get("item") else {
            return;
        };
        match text(wire, "type") {
            Some("message") => match Item::message(wire, position, progress) {
                Some(item) => {
                    self.put_item(item);
                }
                None => self.unreadable_item("message"),
            },
            // A side channel, no part of the history.
            Some("mcp_list_tools") if done => {
                let server_label = text(wire, "server_label").unwrap_or_default().to_owned();
                let tools = wire
                    .get("tools")
                    .cloned()
                    .unwrap_or(Value::Array(Vec::new()));
                self.outbox.event(Event::McpToolsListed {
                    server_label,
                    tools,
                });
            }
            Some("mcp_approval_request") if done => self.mcp_approval_request(wire),
            Some("mcp_call" | "mcp_tool_call") => {
                let progress = if done {
                    Progress::Completed
                } else {
                    Progress::InProgress
                };
                let Some(item) = Item::mcp_call(wire, progress) else {
                    return self.unreadable_item("mcp_call");
                };
                let item = self.put_item(item);
                if done {
                    self.outbox.event(Event::McpCallCompleted {
                        item,
                        agent_version: self.agent_version,
                    });
                    if self.options.respond_to_mcp_calls {
                        self.request_response_auto(now);
                    }
                }
            }
            _ => {}
        }
    }

    fn mcp_approval_request(&mut self, wire: &Value) {
        let item = match Item::mcp_approval_request(wire) {
            Ok(Some(item)) => item,
            Ok(None) => return self.unreadable_item("mcp_approval_request"),
            Err(why) => return self.report(CoreError::Protocol(why)),
        };
        let item = self.put_item(item);
        match self.mcp_approvals.get(&item.id) {
            None => {
                self.mcp_approvals
                    .insert(Arc::clone(&item.id), Arc::clone(&item));
                self.outbox.event(Event::McpApprovalRequested {
                    item,
                    agent_version: self.agent_version,
                    connection_id: self.connection_id,
                });
            }
            Some(known) if known.kind == item.kind => {}
            Some(_) => self.report(CoreError::Model(format!(
                "the id {} was reused for a different MCP approval request",
                item.id
            ))),
        }
    }
}

/// Where the server says that an item of the conversation stands.
fn position_of(event: &Value) -> ItemPosition {
    match event.get("previous_item_id") {
        None => ItemPosition::Unstated,
        Some(Value::String(previous)) => ItemPosition::After(previous.as_str().into()),
        Some(_) => ItemPosition::First,
    }
}

/// The text of the last item that ends in text or speech, and that item's id (or the last item's).
fn last_words(output: &[Value]) -> (Option<&str>, &str) {
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
