//! What a conversation is made with.

use std::time::Duration;

use super::playback::PlaybackSource;
use super::purpose::Purpose;

/// The options of a conversation, each with its default.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the session is for: a conversation.
    pub purpose: Purpose,
    /// Whether the history keeps the audio of messages: no.
    pub history_store_audio: bool,
    /// Characters between two checks of the output guardrails: 100. If negative, they check once,
    /// at the end of the turn. Text is gathered only if [`Interest::GUARDRAILS`] is set.
    pub guardrail_debounce: i64,
    /// Whether a user who starts to speak interrupts the answer: yes.
    pub speech_interrupts: bool,
    /// How long a caller who made a sound may be silent before the answer that was paused for it goes on: `None`:
    /// it is interrupted at once. The caller's end must be able to pause.
    pub resume_after: Option<Duration>,
    pub playback: PlaybackSource,
    /// Whether a response is requested when a hosted MCP call has completed: yes.
    pub respond_to_mcp_calls: bool,
    /// How long the server may take to answer a `response.create` before it is given up: 30 s.
    pub response_timeout: Duration,
    /// How many `response.create` with a payload may wait: 64.
    pub waiting_responses: usize,
    /// How many answered function calls are remembered, to answer repeats: 256.
    pub answered_calls: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            purpose: Purpose::default(),
            history_store_audio: false,
            guardrail_debounce: 100,
            speech_interrupts: true,
            resume_after: None,
            playback: PlaybackSource::default(),
            respond_to_mcp_calls: true,
            response_timeout: Duration::from_secs(30),
            waiting_responses: 64,
            answered_calls: 256,
        }
    }
}
