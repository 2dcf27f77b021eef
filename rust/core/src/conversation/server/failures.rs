//! What the server reports as failed: errors, responses, transcriptions, and what it did with MCP
//! servers. Each becomes an error event.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::conversation::Conversation;
use crate::conversation::core_error::CoreError;
use crate::conversation::event::Event;
use crate::conversation::item::{Item, ItemKind, Progress, text, words};
use crate::conversation::normalise::index;
use crate::conversation::reported_error;

impl Conversation {
    pub(super) fn server_error(&mut self, event: Value, now: Duration) {
        let error = reported_error::fields(&event).clone();
        self.report(CoreError::Server(event));
        if let Some(id) = text(&error, "event_id") {
            self.history_requests.refused(id);
            self.outbox.refused(id);
            self.truncation_refused(id);
        }
        if text(&error, "code") == Some("response_cancel_not_active") {
            self.cancel_refused(text(&error, "event_id"), now);
        }
        let busy = self.responses.is_busy();
        self.sequencer.refused(&error, busy, now);
        self.flush_responses(now);
    }

    fn failed(&mut self, what: String, event: &Value) {
        self.report(CoreError::Failed {
            what,
            event: event.clone(),
        });
    }

    /// Reports a response that ended as failed.
    pub(super) fn report_failed_response(&mut self, event: &Value) {
        let response = event.get("response").unwrap_or(&Value::Null);
        if text(response, "status") == Some("failed") {
            let id = text(response, "id").unwrap_or("without an id");
            self.failed(format!("response {id} failed"), event);
        }
        for id in self.mcp_failures.untold() {
            // Its item has not come, or does not say why.
            self.mcp_call_failed_for_good(&id, event);
        }
    }

    pub(super) fn transcription_failed(&mut self, event: &Value) {
        let Some(item_id) = text(event, "item_id") else {
            return self.incomplete("failed transcription", "an item_id");
        };
        let error = event.get("error").unwrap_or(&Value::Null);
        let message = words(error)
            .unwrap_or("the server gives no reason")
            .to_owned();
        self.outbox.event(Event::TranscriptionFailed {
            item_id: item_id.into(),
            content_index: index(event, "content_index"),
            message,
            code: text(error, "code").map(str::to_owned),
        });
        self.failed(format!("the transcription of item {item_id} failed"), event);
    }

    /// `response.mcp_call.failed`: why is in the event or in its item, which follows.
    pub(super) fn mcp_call_failed(&mut self, event: &Value) {
        let Some(id) = text(event, "item_id") else {
            return self.incomplete("response.mcp_call.failed", "an item_id");
        };
        self.mcp_failures.failed(id);
        let error = event.get("error").and_then(words).map(str::to_owned);
        if let Some(known) = self.history.get(id) {
            let mut item = Item::clone(&known);
            if let ItemKind::McpCall {
                status,
                error: known,
                ..
            } = &mut item.kind
            {
                *status = Progress::Failed;
                *known = error.clone().or(known.take());
                self.put_item(item);
            }
        }
        if error.is_some() {
            self.mcp_call_failed_for_good(id, event);
        }
    }

    fn mcp_call_failed_for_good(&mut self, id: &str, event: &Value) {
        if self.mcp_failures.tell(id) {
            let name = match self.history.get(id).as_deref() {
                Some(Item {
                    kind: ItemKind::McpCall { name, .. },
                    ..
                }) => format!("{name} "),
                _ => String::new(),
            };
            self.failed(format!("MCP call {name}({id}) failed"), event);
        }
    }

    /// Puts a call to an MCP server into the history, and reports it if it failed.
    pub(super) fn put_mcp_call(&mut self, mut item: Item, event: &Value) -> Arc<Item> {
        let mut reason_known = false;
        if let ItemKind::McpCall { status, error, .. } = &mut item.kind {
            if self.mcp_failures.has_failed(&item.id) {
                *status = Progress::Failed;
            }
            if *status == Progress::Failed {
                self.mcp_failures.failed(&item.id);
            }
            reason_known = error.is_some();
        }
        let item = self.put_item(item);
        if reason_known {
            self.mcp_call_failed_for_good(&item.id, event);
        }
        item
    }

    /// `mcp_list_tools.failed`, or the item of such a listing.
    pub(super) fn listing_failed(&mut self, item_id: &str, event: &Value) {
        if !self.mcp_failures.tell(item_id) {
            return;
        }
        let what = match self.mcp_failures.label(item_id) {
            Some(label) => format!("the tools of MCP server {label} could not be listed"),
            None => format!("the tools of an MCP server could not be listed (item {item_id})"),
        };
        self.failed(what, event);
    }
}
