//! Items of responses and of the conversation.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::conversation::capabilities::Media;
use crate::conversation::core_error::CoreError;
use crate::conversation::event::Event;
use crate::conversation::history_requests::RequestKind;
use crate::conversation::item::{Item, ItemKind, ItemPosition, Progress, text};

use crate::conversation::{Conversation, McpApproval};

impl Conversation {
    pub(super) fn unreadable_item(&mut self, what: &str) {
        self.report(CoreError::Protocol(format!(
            "the server sent a {what} item without an id or role"
        )));
    }

    /// The server sent an event without the field that says what it is about.
    pub(in crate::conversation) fn incomplete(&mut self, kind: &str, field: &str) {
        self.report(CoreError::Protocol(format!(
            "the server sent a {kind} without {field}: it has no effect"
        )));
    }

    /// Handles an item of a response. Such an event does not state the item's position.
    pub(super) fn output_item(&mut self, event: &Value, progress: Progress, now: Duration) {
        let Some(wire) = event.get("item").filter(|item| item.is_object()) else {
            return self.incomplete("response.output_item event", "an item");
        };
        if let Some(id) = text(event, "response_id") {
            self.responses.touch(id, now);
            if self.responses.is_out_of_band(id) {
                return;
            }
        }
        if progress == Progress::Completed
            && self.capabilities.media == Media::InFrames
            && let Some(id) = text(wire, "id")
        {
            // Not every server sends `response.output_audio.done`.
            self.playback.part_complete(id, None, now);
            self.count_heard();
        }
        match text(wire, "type") {
            Some("function_call") => {
                self.call_item(event, wire, progress == Progress::Completed, now);
            }
            Some("mcp_call" | "mcp_tool_call") => match Item::mcp_call(wire, progress) {
                Some(item) => {
                    self.put_mcp_call(item, event);
                }
                None => self.unreadable_item("mcp_call"),
            },
            Some("message") => match Item::message(wire, ItemPosition::Unstated, progress) {
                Some(item) => {
                    self.part_announced(text(event, "response_id"), &item.id, None);
                    self.put_item(item);
                }
                None => self.unreadable_item("message"),
            },
            _ => {}
        }
    }

    /// Takes from the end of a response what its messages say, where nothing said that before: xAI has items
    /// without their content.
    pub(super) fn complete_answers(&mut self, output: &[Value]) {
        for wire in output {
            let known = text(wire, "id").and_then(|id| self.history.get(id));
            // An answer that was interrupted has ended as well, and its words say where it was cut.
            let is_bare = known.is_some_and(|known| {
                matches!(&known.kind, ItemKind::Message { content, status, .. }
                    if content.is_empty() && *status != Some(Progress::InProgress))
            });
            let has_content = wire["content"].as_array().is_some_and(|it| !it.is_empty());
            if is_bare && has_content {
                let position = ItemPosition::Unstated;
                if let Some(item) = Item::message(wire, position, Progress::Completed) {
                    self.put_item(item);
                }
            }
        }
    }

    /// Takes note of an item that this side may have created. A function call of an earlier
    /// conversation is put into the history, with its output: it is not run again.
    pub(super) fn creation_confirmed(&mut self, event: &Value, position: &ItemPosition) {
        let Some(wire) = event.get("item") else {
            return;
        };
        let Some(id) = text(wire, "id") else {
            return;
        };
        if let Some(call) = self.history_requests.confirmed(id, RequestKind::Create) {
            self.put_item(Item {
                position: position.clone(),
                ..call
            });
        }
        if let (Some("function_call_output"), Some(call_id)) =
            (text(wire, "type"), text(wire, "call_id"))
        {
            self.history_requests.output_stored(call_id, id);
        }
    }

    /// Handles an item of the conversation.
    pub(super) fn conversation_item(
        &mut self,
        event: &Value,
        position: ItemPosition,
        progress: Progress,
        done: bool,
        now: Duration,
    ) {
        let Some(wire) = event.get("item").filter(|item| item.is_object()) else {
            return self.incomplete("conversation.item event", "an item");
        };
        match text(wire, "type") {
            Some("message") => match Item::message(wire, position, progress) {
                Some(item) => {
                    self.put_item(item);
                }
                None => self.unreadable_item("message"),
            },
            // The list of tools is an event of its own, not a part of the history.
            Some("mcp_list_tools") => {
                if let Some(id) = text(wire, "id") {
                    self.mcp_failures.listing(id, text(wire, "server_label"));
                }
                if wire.get("error").is_some_and(|error| !error.is_null()) {
                    return self.listing_failed(text(wire, "id").unwrap_or_default(), event);
                }
                if !done {
                    return;
                }
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
                let item = self.put_mcp_call(item, event);
                if done {
                    self.outbox.event(Event::McpCallCompleted {
                        item,
                        agent_version: self.agent_version,
                    });
                    if self.options.respond_to_mcp_calls {
                        if let Some(current) = self.responses.current().cloned() {
                            self.continue_turn(&current);
                        }
                        self.request_response_auto(now);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn mcp_approval_request(&mut self, wire: &Value) {
        let item = match Item::mcp_approval_request(wire) {
            Ok(Some(item)) => item,
            Ok(None) => return self.unreadable_item("mcp_approval_request"),
            Err(why) => return self.report(CoreError::Protocol(why)),
        };
        let item = self.put_item(item);
        match self.mcp_approvals.get(&item.id) {
            None => {
                let asked = McpApproval {
                    item: Arc::clone(&item),
                    is_answered: false,
                };
                self.mcp_approvals.insert(Arc::clone(&item.id), asked);
                self.outbox.event(Event::McpApprovalRequested {
                    item,
                    agent_version: self.agent_version,
                    connection_id: self.connection_id,
                });
            }
            Some(known) if known.item.kind == item.kind => {}
            Some(_) => self.report(CoreError::Model(format!(
                "the id {} was reused for a different MCP approval request",
                item.id
            ))),
        }
    }
}

/// The position of an item, as the server states it.
pub(super) fn position_of(event: &Value) -> ItemPosition {
    match event.get("previous_item_id") {
        None => ItemPosition::Unstated,
        Some(Value::String(previous)) => ItemPosition::After(previous.as_str().into()),
        Some(_) => ItemPosition::First,
    }
}
