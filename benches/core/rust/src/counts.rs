//! What the conversations did.

use serde_json::{Value, json};

/// Two builds that do the same work have the same counts.
#[derive(Debug, Default)]
pub struct Counts {
    pub audio: u64,
    pub audio_bytes: u64,
    pub transcript_deltas: u64,
    pub function_calls: u64,
    pub responses: u64,
    pub interruptions: u64,
    pub history_versions: u64,
    pub errors: u64,
    pub other_events: u64,
    pub messages: u64,
    pub message_bytes: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.audio += other.audio;
        self.audio_bytes += other.audio_bytes;
        self.transcript_deltas += other.transcript_deltas;
        self.function_calls += other.function_calls;
        self.responses += other.responses;
        self.interruptions += other.interruptions;
        self.history_versions += other.history_versions;
        self.errors += other.errors;
        self.other_events += other.other_events;
        self.messages += other.messages;
        self.message_bytes += other.message_bytes;
    }

    pub fn to_json(&self, turns: usize) -> Value {
        json!({
            "turns": turns,
            "audio": self.audio,
            "audio_bytes": self.audio_bytes,
            "transcript_deltas": self.transcript_deltas,
            "function_calls": self.function_calls,
            "responses": self.responses,
            "interruptions": self.interruptions,
            "history_versions": self.history_versions,
            "errors": self.errors,
            "other_events": self.other_events,
            "messages": self.messages,
            "message_bytes": self.message_bytes,
        })
    }
}
