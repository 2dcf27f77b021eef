//! The messages for the server: one builder for each, and no other place that writes one.
//!
//! The order of the keys is part of the output: traces of whole conversations compare texts.

use serde_json::{Map, Value, json};

use crate::audio::base64;

pub(super) const RESPONSE_CREATE: &str = "response.create";
pub(super) const RESPONSE_CANCEL: &str = "response.cancel";
pub(super) const INPUT_AUDIO_APPEND: &str = "input_audio_buffer.append";

/// An event that was composed elsewhere, as it is.
pub(super) fn whole(event: &Map<String, Value>) -> String {
    // Only a map whose keys are no strings could not be written.
    serde_json::to_string(event).unwrap_or_default()
}

/// `response.create`, with a payload or without. The sequencer adds the event id.
pub(super) fn response_create(response: Option<Value>) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("type".to_owned(), RESPONSE_CREATE.into());
    if let Some(response) = response {
        event.insert("response".to_owned(), response);
    }
    event
}

/// `response.cancel`, of the active response or of the one with that id.
pub(super) fn response_cancel(response_id: Option<&str>) -> String {
    match response_id {
        None => r#"{"type":"response.cancel"}"#.to_owned(),
        Some(id) => json!({"type": RESPONSE_CANCEL, "response_id": id}).to_string(),
    }
}

/// `session.update` of the tracing alone.
pub(super) fn tracing_update(tracing: &Value) -> String {
    json!({
        "type": "session.update",
        "session": {"type": "realtime", "tracing": tracing},
    })
    .to_string()
}

/// Appends a whole `input_audio_buffer.append` to `text`. The audio is encoded in place.
pub(crate) fn append_input_audio(audio: &[u8], text: &mut String) {
    const HEAD: &str = r#"{"type":"input_audio_buffer.append","audio":""#;
    const END: &str = "\"}";
    text.reserve_exact(HEAD.len() + base64::encoded_len(audio.len()) + END.len());
    text.push_str(HEAD);
    base64::encode_append_text(audio, text);
    text.push_str(END);
}

/// `input_audio_buffer.commit`.
pub(super) fn input_audio_commit() -> String {
    r#"{"type":"input_audio_buffer.commit"}"#.to_owned()
}

/// `output_audio_buffer.clear`.
pub(super) fn output_audio_clear() -> String {
    r#"{"type":"output_audio_buffer.clear"}"#.to_owned()
}

/// `conversation.item.truncate`.
pub(super) fn item_truncate(item_id: &str, content_index: usize, audio_end_ms: u64) -> String {
    json!({
        "type": "conversation.item.truncate",
        "item_id": item_id,
        "content_index": content_index,
        "audio_end_ms": audio_end_ms,
    })
    .to_string()
}

/// `conversation.item.retrieve`.
pub(super) fn item_retrieve(item_id: &str) -> String {
    json!({"type": "conversation.item.retrieve", "item_id": item_id}).to_string()
}

/// `conversation.item.delete`.
pub(super) fn item_delete(item_id: &str, event_id: &str) -> String {
    json!({"type": "conversation.item.delete", "item_id": item_id, "event_id": event_id})
        .to_string()
}

/// A message that `conversation.item.create` puts into the conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewMessage<'a> {
    pub(super) item_id: &'a str,
    pub(super) role: &'a str,
    /// The list of its parts.
    pub(super) content: &'a Value,
    pub(super) status: Option<&'a str>,
}

/// `conversation.item.create` of a message, behind `previous_item_id` or at the end.
pub(super) fn message_create(
    message: NewMessage<'_>,
    event_id: &str,
    previous_item_id: Option<&str>,
) -> String {
    let mut item = json!({
        "type": "message",
        "role": message.role,
        "content": message.content,
        "id": message.item_id,
    });
    if let Some(status) = message.status {
        item["status"] = status.into();
    }
    let mut event = json!({"type": "conversation.item.create", "item": item, "event_id": event_id});
    if let Some(previous) = previous_item_id {
        event["previous_item_id"] = previous.into();
    }
    event.to_string()
}

/// `conversation.item.create` of the output of a function call.
pub(super) fn function_call_output(call_id: &str, output: &str) -> String {
    json!({
        "type": "conversation.item.create",
        "item": {"type": "function_call_output", "output": output, "call_id": call_id},
    })
    .to_string()
}

/// `conversation.item.create` of the answer to an MCP approval request.
pub(super) fn mcp_approval_response(
    request_id: &str,
    approve: bool,
    reason: Option<&str>,
) -> String {
    let mut item = json!({
        "type": "mcp_approval_response",
        "approval_request_id": request_id,
        "approve": approve,
    });
    if let Some(reason) = reason {
        item["reason"] = reason.into();
    }
    json!({
        "type": "conversation.item.create",
        "previous_item_id": request_id,
        "item": item,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_written_with_its_keys_in_order() {
        let content = json!([{"type": "input_text", "text": "a\"b"}]);
        let message = NewMessage {
            item_id: "i",
            role: "user",
            content: &content,
            status: None,
        };
        let finished = NewMessage {
            status: Some("completed"),
            ..message
        };
        let mut append = String::new();
        append_input_audio(&[0, 1, 2], &mut append);
        for (built, expected) in [
            (
                whole(&response_create(None)),
                r#"{"type":"response.create"}"#,
            ),
            (
                whole(&response_create(Some(json!({"b": 1, "a": 2})))),
                r#"{"type":"response.create","response":{"b":1,"a":2}}"#,
            ),
            (response_cancel(None), r#"{"type":"response.cancel"}"#),
            (
                response_cancel(Some("r")),
                r#"{"type":"response.cancel","response_id":"r"}"#,
            ),
            (
                tracing_update(&json!("auto")),
                r#"{"type":"session.update","session":{"type":"realtime","tracing":"auto"}}"#,
            ),
            (
                append,
                r#"{"type":"input_audio_buffer.append","audio":"AAEC"}"#,
            ),
            (
                input_audio_commit(),
                r#"{"type":"input_audio_buffer.commit"}"#,
            ),
            (
                output_audio_clear(),
                r#"{"type":"output_audio_buffer.clear"}"#,
            ),
            (
                item_truncate("i", 1, 250),
                r#"{"type":"conversation.item.truncate","item_id":"i","content_index":1,"audio_end_ms":250}"#,
            ),
            (
                item_retrieve("i"),
                r#"{"type":"conversation.item.retrieve","item_id":"i"}"#,
            ),
            (
                item_delete("i", "e"),
                r#"{"type":"conversation.item.delete","item_id":"i","event_id":"e"}"#,
            ),
            (
                message_create(message, "e", None),
                r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"a\"b"}],"id":"i"},"event_id":"e"}"#,
            ),
            (
                message_create(finished, "e", Some("root")),
                r#"{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[{"type":"input_text","text":"a\"b"}],"id":"i","status":"completed"},"event_id":"e","previous_item_id":"root"}"#,
            ),
            (
                function_call_output("c", "4"),
                r#"{"type":"conversation.item.create","item":{"type":"function_call_output","output":"4","call_id":"c"}}"#,
            ),
            (
                mcp_approval_response("i", true, None),
                r#"{"type":"conversation.item.create","previous_item_id":"i","item":{"type":"mcp_approval_response","approval_request_id":"i","approve":true}}"#,
            ),
            (
                mcp_approval_response("i", false, Some("no")),
                r#"{"type":"conversation.item.create","previous_item_id":"i","item":{"type":"mcp_approval_response","approval_request_id":"i","approve":false,"reason":"no"}}"#,
            ),
        ] {
            assert_eq!(built, expected);
        }
    }
}
