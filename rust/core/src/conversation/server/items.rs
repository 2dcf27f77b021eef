//! Items of responses and of the conversation.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::conversation::Conversation;
use crate::conversation::capabilities::Media;
use crate::conversation::event::{CoreError, Event};
use crate::conversation::item::{Item, ItemPosition, Progress, text};
use crate::conversation::replay::RequestKind;
use crate::conversation::tool_calls::FunctionCall;

impl Conversation {
    pub(super) fn unreadable_item(&mut self, what: &str) {
        self.report(CoreError::Protocol(format!(
            "the server sent a {what} item without an id or role"
        )));
    }

    /// Handles an item of a response. Such an event does not state the item's position.
    pub(super) fn output_item(&mut self, event: &Value, progress: Progress, now: Duration) {
        let Some(wire) = event.get("item") else {
            return;
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

    pub(super) fn function_call(&mut self, event: &Value, wire: &Value, now: Duration) {
        // The call stays in progress until it has its output, although its arguments are complete.
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
            // The list of tools is an event of its own, not a part of the history.
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

    pub(super) fn mcp_approval_request(&mut self, wire: &Value) {
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

/// The position of an item, as the server states it.
pub(super) fn position_of(event: &Value) -> ItemPosition {
    match event.get("previous_item_id") {
        None => ItemPosition::Unstated,
        Some(Value::String(previous)) => ItemPosition::After(previous.as_str().into()),
        Some(_) => ItemPosition::First,
    }
}
