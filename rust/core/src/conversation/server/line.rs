//! What the server says of the caller's line: silence that lasted, and phone calls (SIP) that it carries itself.

use serde_json::Value;

use crate::conversation::Conversation;
use crate::conversation::event::Event;
use crate::conversation::item::text;

impl Conversation {
    /// Nobody has spoken for `idle_timeout_ms`: the server takes that as a turn, and answers it.
    pub(super) fn idle_timeout(&mut self, event: &Value) {
        let ms = |key: &str| event.get(key).and_then(Value::as_u64);
        self.outbox.event(Event::IdleTimeoutTriggered {
            item_id: text(event, "item_id").unwrap_or_default().into(),
            audio_start_ms: ms("audio_start_ms"),
            audio_end_ms: ms("audio_end_ms"),
        });
    }

    /// The caller has pressed a key.
    pub(super) fn dtmf_received(&mut self, event: &Value) {
        // The key is in `event`; a digit may come as a number.
        let digit = match event.get("event") {
            Some(Value::String(digit)) if !digit.is_empty() => digit.clone(),
            Some(Value::Number(digit)) => digit.to_string(),
            _ => return self.incomplete("input_audio_buffer.dtmf_event_received", "an event"),
        };
        let received_at = event.get("received_at").and_then(Value::as_f64);
        self.outbox.event(Event::DtmfReceived {
            digit,
            received_at: received_at.map(|seconds| seconds as u64),
        });
    }

    /// The server plays an answer to a caller of its own, and says how far it is.
    pub(in crate::conversation) fn call_playback(&mut self, status: &'static str, event: &Value) {
        self.outbox.event(Event::CallPlaybackChanged {
            status,
            response_id: text(event, "response_id").map(Into::into),
        });
    }
}
