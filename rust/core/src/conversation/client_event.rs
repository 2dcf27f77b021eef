//! The messages for the server: one builder each.
//!
//! The keys have the order in which the reference writes them.

use serde_json::{Map, Value, json};

use super::item::ItemId;
use crate::audio::base64;

/// A client event as it goes to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientEvent {
    /// JSON; empty where it is a binary frame.
    pub text: String,
    /// What a binary frame holds: the user's sound.
    pub frame: Option<Vec<u8>>,
    /// Whether the event carries the user's audio. If the server does not read, the oldest audio is
    /// dropped, and nothing else.
    pub is_audio: bool,
    /// The id of the item that the event creates, where the server has to confirm that.
    pub creates: Option<ItemId>,
    /// It goes out as it is: what the user wrote, or what has the provider's shape already.
    pub as_it_is: bool,
}

impl From<String> for ClientEvent {
    fn from(text: String) -> Self {
        Self {
            text,
            frame: None,
            is_audio: false,
            creates: None,
            as_it_is: false,
        }
    }
}

const AUDIO_APPEND: &str = "input_audio_buffer.append";
const ITEM_CREATE: &str = "conversation.item.create";

impl ClientEvent {
    fn new(value: &Value) -> Self {
        value.to_string().into()
    }

    fn fixed(text: &str) -> Self {
        text.to_owned().into()
    }

    /// An event that the user wrote, unchanged.
    pub(super) fn from_user(event: Map<String, Value>) -> Self {
        let kind = event.get("type").and_then(Value::as_str);
        let is_audio = kind == Some(AUDIO_APPEND);
        let item = event.get("item").filter(|_| kind == Some(ITEM_CREATE));
        let id = item.and_then(|item| item.get("id")?.as_str());
        let creates = id.map(ItemId::from);
        Self {
            text: Value::Object(event).to_string(),
            frame: None,
            is_audio,
            creates,
            as_it_is: true,
        }
    }

    /// `input_audio_buffer.append`: audio in the session's input format. The event is written into
    /// `text`, an empty buffer.
    pub fn audio_append(audio: &[u8], mut text: String) -> Self {
        const HEAD: &str = r#"{"type":"input_audio_buffer.append","audio":""#;
        const END: &str = "\"}";
        text.reserve_exact(HEAD.len() + base64::encoded_len(audio.len()) + END.len());
        text.push_str(HEAD);
        base64::encode_append_text(audio, &mut text);
        text.push_str(END);
        Self {
            text,
            frame: None,
            is_audio: true,
            creates: None,
            as_it_is: true,
        }
    }

    /// A binary frame with audio in the session's input format, where the provider takes it so.
    pub fn audio_frame(audio: &[u8]) -> Self {
        Self {
            text: String::new(),
            frame: Some(audio.to_vec()),
            is_audio: true,
            creates: None,
            as_it_is: true,
        }
    }

    /// The bytes of it.
    pub fn len(&self) -> usize {
        self.frame.as_ref().map_or(self.text.len(), Vec::len)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its JSON, for people: of a binary frame that of the event that it stands for.
    pub(super) fn shown(&self) -> String {
        match &self.frame {
            Some(audio) => Self::audio_append(audio, String::new()).text,
            None => self.text.clone(),
        }
    }

    /// `input_audio_buffer.commit`: the user's turn ends here.
    pub(super) fn audio_commit() -> Self {
        Self::fixed(r#"{"type":"input_audio_buffer.commit"}"#)
    }

    /// The sound in an `input_audio_buffer.append`, or a frame; empty where there is none that can be read.
    pub(super) fn sound(&self) -> Vec<u8> {
        if let Some(sound) = &self.frame {
            return sound.clone();
        }
        let event: Option<Value> = serde_json::from_str(&self.text).ok();
        let audio = event
            .as_ref()
            .and_then(|event| event.get("audio")?.as_str());
        let mut sound = Vec::new();
        if base64::decode_append(audio.unwrap_or_default().as_bytes(), &mut sound).is_err() {
            sound.clear();
        }
        sound
    }

    /// `output_audio_buffer.clear`: the server is to stop the playback of the answer.
    pub(super) fn output_audio_clear() -> Self {
        Self::fixed(r#"{"type":"output_audio_buffer.clear"}"#)
    }

    /// `response.cancel` of that response; without an id, of whichever is in progress.
    pub(super) fn response_cancel(response_id: Option<&str>) -> Self {
        match response_id {
            Some(id) => Self::new(&json!({"type": "response.cancel", "response_id": id})),
            None => Self::fixed(r#"{"type":"response.cancel"}"#),
        }
    }

    /// `response.create` without a payload. The sequencer adds the event id.
    pub(super) fn response_create() -> Map<String, Value> {
        Map::from_iter([("type".to_owned(), "response.create".into())])
    }

    /// A `response.create` of the sequencer, which has the provider's shape.
    pub(super) fn requested(event: Map<String, Value>) -> Self {
        Self {
            as_it_is: true,
            ..Value::Object(event).to_string().into()
        }
    }

    /// `response.create` with a payload. The sequencer adds the event id.
    pub(super) fn response_create_with(response: Value) -> Map<String, Value> {
        let mut event = Self::response_create();
        event.insert("response".to_owned(), response);
        event
    }

    /// `conversation.item.create` of a message, after `previous_item_id` or at the end.
    pub(super) fn item_create(
        item: &Value,
        event_id: &str,
        previous_item_id: Option<&str>,
    ) -> Self {
        let mut event =
            json!({"type": "conversation.item.create", "item": item, "event_id": event_id});
        if let Some(previous) = previous_item_id {
            event["previous_item_id"] = previous.into();
        }
        let creates = item.get("id").and_then(Value::as_str).map(ItemId::from);
        Self {
            creates,
            ..Self::new(&event)
        }
    }

    /// The same of an item that the history has: it is not to be remembered until the server confirms it.
    pub(super) fn item_replay(
        item: &Value,
        event_id: &str,
        previous_item_id: Option<&str>,
    ) -> Self {
        Self {
            creates: None,
            ..Self::item_create(item, event_id, previous_item_id)
        }
    }

    /// `conversation.item.create` of a function call's output.
    pub(super) fn function_call_output(call_id: &str, output: &str) -> Self {
        Self::new(&json!({
            "type": "conversation.item.create",
            "item": {"type": "function_call_output", "output": output, "call_id": call_id},
        }))
    }

    /// `conversation.item.create` of the answer to an MCP approval request.
    pub(super) fn mcp_approval_response(
        request_id: &str,
        approve: bool,
        reason: Option<&str>,
    ) -> Self {
        let mut item = json!({
            "type": "mcp_approval_response",
            "approval_request_id": request_id,
            "approve": approve,
        });
        if let Some(reason) = reason {
            item["reason"] = reason.into();
        }
        Self::new(&json!({
            "type": "conversation.item.create",
            "previous_item_id": request_id,
            "item": item,
        }))
    }

    /// `conversation.item.delete`.
    pub(super) fn item_delete(item_id: &str, event_id: &str) -> Self {
        Self::new(&json!({
            "type": "conversation.item.delete",
            "item_id": item_id,
            "event_id": event_id,
        }))
    }

    /// `conversation.item.retrieve`.
    pub(super) fn item_retrieve(item_id: &str) -> Self {
        Self::new(&json!({"type": "conversation.item.retrieve", "item_id": item_id}))
    }

    /// `conversation.item.truncate` of an answer's part, at the playback position.
    pub(super) fn item_truncate(
        item_id: &str,
        content_index: usize,
        audio_end_ms: u64,
        event_id: Option<&str>,
    ) -> Self {
        let mut event = json!({
            "type": "conversation.item.truncate",
            "item_id": item_id,
            "content_index": content_index,
            "audio_end_ms": audio_end_ms,
        });
        if let Some(event_id) = event_id {
            event["event_id"] = event_id.into();
        }
        Self::new(&event)
    }

    /// `session.update` of the tracing alone.
    pub(super) fn tracing_update(tracing: &Value) -> Self {
        Self::new(&json!({
            "type": "session.update",
            "session": {"type": "realtime", "tracing": tracing},
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_audio_may_be_dropped() {
        let append = ClientEvent::audio_append(&[0, 1, 2], String::new());
        assert_eq!(
            append.text,
            r#"{"type":"input_audio_buffer.append","audio":"AAEC"}"#
        );
        assert!(append.is_audio);
        let by_hand: Map<String, Value> = serde_json::from_str(&append.text).unwrap();
        assert_eq!(ClientEvent::from_user(by_hand), append);
        assert!(!ClientEvent::audio_commit().is_audio);
        assert!(!ClientEvent::from("{}".to_owned()).is_audio);
    }
}
