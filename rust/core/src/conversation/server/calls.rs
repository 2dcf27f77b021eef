//! Function calls of the model. Most servers state a call whole when its item is done; others state
//! it piece by piece, or only when the response ends.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::responses::is_out_of_band;
use crate::conversation::Conversation;
use crate::conversation::core_error::CoreError;
use crate::conversation::item::{Item, ItemKind, ItemPosition, Progress, json_text, text};
use crate::conversation::partial_calls::PartialCall;
use crate::conversation::tool_calls::FunctionCall;

impl Conversation {
    /// A function call is in an item of a response: it is run if the item is done.
    pub(super) fn call_item(&mut self, event: &Value, wire: &Value, done: bool, now: Duration) {
        let call = partial(event, wire);
        match text(wire, "status") {
            Some("completed") => self.function_call(call, now),
            // The response ended before the call was whole.
            Some("incomplete" | "cancelled" | "failed") => {}
            // The item is done, but it says that the call is not whole: that must be stated elsewhere.
            Some("in_progress") => self.partial_calls.note(call),
            _ if done => self.function_call(call, now),
            _ => self.partial_calls.note(call),
        }
    }

    /// The arguments of a call are whole. Its item follows, or the end of the response.
    pub(super) fn call_arguments_done(&mut self, event: &Value) {
        let mut call = partial(event, event);
        call.item_id = owned(event, "item_id");
        call.complete = true;
        if call.item_id.is_empty() && call.call_id.is_empty() {
            return self.incomplete("response.function_call_arguments.done", "item_id");
        }
        self.partial_calls.note(call);
    }

    /// Runs the calls of a response that no other event has stated whole. Called before its end is
    /// handled.
    pub(super) fn calls_at_end(&mut self, event: &Value, now: Duration) {
        let response = event.get("response").unwrap_or(&Value::Null);
        let Some(response_id) = self.responses.ended_id(text(response, "id")) else {
            return;
        };
        let mut missed = self.partial_calls.end(&response_id);
        if self.responses.is_out_of_band(&response_id) || is_out_of_band(response) {
            return;
        }
        if !matches!(text(response, "status"), None | Some("completed")) {
            return;
        }
        let output = response.get("output").and_then(Value::as_array);
        for item in output.into_iter().flatten() {
            if text(item, "type") == Some("function_call")
                && matches!(text(item, "status"), None | Some("completed"))
            {
                missed.note(PartialCall {
                    complete: true,
                    ..partial(item, item)
                });
            }
        }
        for call in missed.into_whole() {
            let call = PartialCall {
                response_id: response_id.to_string(),
                ..call
            };
            if !self.partial_calls.has_arrived(&call) {
                self.function_call(call, now);
            }
        }
    }

    fn function_call(&mut self, call: PartialCall, now: Duration) {
        let mut call = self.partial_calls.complete(call);
        if call.item_id.is_empty() {
            call.item_id.clone_from(&call.call_id);
        }
        if call.item_id.is_empty() {
            return self.unreadable_item("function_call");
        }
        if call.response_id.is_empty()
            && let Some(active) = self.responses.current()
        {
            call.response_id = active.to_string();
        }
        self.partial_calls.arrived(&call);
        // The call stays in progress until it has its output, although its arguments are complete.
        let item = self.put_item(Item {
            id: call.item_id.into(),
            position: ItemPosition::Unstated,
            kind: ItemKind::FunctionCall {
                call_id: (!call.call_id.is_empty()).then(|| call.call_id.clone()),
                name: call.name.clone(),
                arguments: call.arguments.clone(),
                output: None,
                status: Progress::InProgress,
            },
        });
        if call.response_id.is_empty() {
            return self.report(CoreError::Model(format!(
                "function call {} names no response: it cannot be run safely",
                item.id
            )));
        }
        let call_id = if call.call_id.is_empty() {
            Arc::clone(&item.id)
        } else {
            call.call_id.into()
        };
        let agent_version = self
            .responses
            .capture(&call.response_id, self.agent_version);
        let call = FunctionCall {
            item_id: Arc::clone(&item.id),
            call_id,
            name: call.name,
            arguments: call.arguments,
            response_id: call.response_id.into(),
            agent_version,
            connection_id: self.connection_id,
        };
        self.call_arrived(call, now);
    }
}

fn owned(value: &Value, key: &str) -> String {
    text(value, key).unwrap_or_default().to_owned()
}

/// What the item of a call says of it.
fn partial(event: &Value, item: &Value) -> PartialCall {
    PartialCall {
        item_id: owned(item, "id"),
        call_id: owned(item, "call_id"),
        response_id: owned(event, "response_id"),
        name: owned(item, "name"),
        arguments: json_text(item, "arguments").unwrap_or_default(),
        complete: false,
    }
}
