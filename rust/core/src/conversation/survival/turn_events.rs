//! What the server says of the user's sound.

use serde_json::Value;

use crate::conversation::Conversation;
use crate::conversation::item::text;

impl Conversation {
    /// Takes note of how far the user's sound is in items of the conversation.
    pub(in crate::conversation) fn note_turn(&mut self, kind: &str, event: &Value) {
        let Some(survival) = &mut self.survival else {
            return;
        };
        let sound = &mut survival.sound;
        let ms = |key: &str| event.get(key).and_then(Value::as_u64);
        match kind {
            "input_audio_buffer.speech_started" => sound.speech_started(ms("audio_start_ms")),
            "input_audio_buffer.speech_stopped" => {
                sound.speech_stopped(ms("audio_end_ms"));
            }
            "input_audio_buffer.committed" => sound.committed(text(event, "item_id")),
            "input_audio_buffer.cleared" => sound.cleared(),
            "conversation.item.input_audio_transcription.completed"
            | "conversation.item.deleted" => {
                if let Some(item_id) = text(event, "item_id") {
                    sound.forget(item_id);
                }
            }
            "response.done" => sound.answered(),
            _ => {}
        }
    }

    /// The sound of an item is not needed any more.
    pub(in crate::conversation) fn forget_sound(&mut self, item_id: &str) {
        if let Some(survival) = &mut self.survival {
            survival.sound.forget(item_id);
        }
    }

    /// The user's sound was sent, or waits to be.
    pub(in crate::conversation) fn note_sound(&mut self, wire: &[u8]) {
        if let Some(survival) = &mut self.survival {
            survival.sound.append(wire);
        }
    }

    pub(in crate::conversation) fn note_clear(&mut self) {
        if let Some(survival) = &mut self.survival {
            survival.sound.cleared();
        }
    }

    pub(in crate::conversation) fn note_commit(&mut self) {
        if let Some(survival) = &mut self.survival {
            survival.sound.commit();
        }
    }
}
