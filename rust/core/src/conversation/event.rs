//! What a conversation tells its session.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::core_error::CoreError;
use super::guard::GuardSource;
use super::history::History;
use super::item::Item;
use super::record::{Field, FieldValue, Record, RecordType, event_table, fields};
use super::tool_calls::FunctionCall;
use super::transcripts::Transcribed;

/// Kinds of events that are built only where somebody wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interest(pub u32);

impl Interest {
    /// Decoded audio.
    pub const AUDIO: Self = Self(1);
    /// Each server event as it came.
    pub const RAW: Self = Self(1 << 1);
    /// Transcript and text deltas.
    pub const TRANSCRIPT: Self = Self(1 << 2);
    /// Every version of the history.
    pub const HISTORY: Self = Self(1 << 3);
    /// Each client message as it is queued: for tests and debugging.
    pub const OUTGOING: Self = Self(1 << 4);
    /// Texts of answers that output guardrails must look at.
    pub const GUARDRAILS: Self = Self(1 << 5);
    /// The end of the playback of each response.
    pub const PLAYBACK: Self = Self(1 << 6);
    /// The items of each response, when it ends.
    pub const RESPONSES: Self = Self(1 << 7);
    pub const ALL: Self = Self(u32::MAX);

    /// Each of them by its name.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("AUDIO", Self::AUDIO),
        ("RAW", Self::RAW),
        ("TRANSCRIPT", Self::TRANSCRIPT),
        ("HISTORY", Self::HISTORY),
        ("OUTGOING", Self::OUTGOING),
        ("GUARDRAILS", Self::GUARDRAILS),
        ("PLAYBACK", Self::PLAYBACK),
        ("RESPONSES", Self::RESPONSES),
    ];

    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// When things of a turn happened, since the user stopped speaking (or the request was sent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    pub created: Option<Duration>,
    pub first_audio: Option<Duration>,
    pub done: Option<Duration>,
}

/// Whose words a transcript delta carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    User,
    Assistant,
}

/// Where the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    #[default]
    Disconnected,
    Connecting,
    Connected,
    /// The connection was lost, and another one is being made for the same conversation.
    Reconnecting,
}

impl Speaker {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl Status {
    /// Whether there is a connection, or will be one for the same conversation.
    pub fn is_standing(self) -> bool {
        matches!(self, Self::Connected | Self::Reconnecting)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Reconnecting => "reconnecting",
        }
    }
}

/// How a connection ended, or why none could be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConnectionEnd {
    /// A text for people.
    pub reason: String,
    /// Nothing was lost: this side closed it, or the server did, as it was to.
    pub is_clean: bool,
    /// This side closed it.
    pub is_ours: bool,
    /// The server's close code, where it gave one.
    pub code: Option<u16>,
    /// The HTTP status with which it refused the handshake.
    pub status: Option<u16>,
    /// The code of the error that it gave then, such as `invalid_api_key`.
    pub error_code: Option<Box<str>>,
    /// Whether a new connection, made in the same way, may last longer.
    pub is_retryable: bool,
    /// How long the server asks to wait before that.
    pub retry_after: Option<Duration>,
}

impl ConnectionEnd {
    /// This side closed it.
    pub fn by_us() -> Self {
        Self {
            reason: "closed by this side".to_owned(),
            is_clean: true,
            is_ours: true,
            ..Self::default()
        }
    }

    /// It was lost, for a reason of this side's: another one may be made at once.
    pub fn lost(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            is_retryable: true,
            ..Self::default()
        }
    }
}

/// Where the connection stands now; `end` says why it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionChange {
    pub status: Status,
    pub end: Option<ConnectionEnd>,
}

/// How a response ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseEnded {
    pub response_id: Option<Arc<str>>,
    /// It belongs to no conversation.
    pub out_of_band: bool,
    /// Its connection was lost before its end.
    pub lost: bool,
    /// The agent that was in charge when it began.
    pub agent_version: u64,
    /// The item that the last text belongs to.
    pub item_id: Option<Arc<str>>,
    /// The last text, spoken or written.
    pub output: String,
    pub source: GuardSource,
    pub status: Option<String>,
    pub status_details: Option<Value>,
    pub usage: Option<Value>,
    /// What the request for it gave to know it by.
    pub metadata: Option<Value>,
    /// Its items, as the server states them, if somebody wants them.
    pub items: Option<Value>,
    pub timings: Timings,
    /// For the guardrails' final look: which response of the connection it was.
    pub response_index: u64,
    pub connection_id: u64,
}

fields! {
    Speaker, "str", |value| FieldValue::Text(value.as_str());
    Status, "str", |value| FieldValue::Text(value.as_str());
    GuardSource, "str", |value| FieldValue::Text(value.as_str());
}

event_table! {
    /// An event. `agent_version` names the agent it belongs to: the session layer knows which one that is.
    ///
    /// The kinds and fields are the ones that a binding hands out: a kind that is added here reaches
    /// the user as the class of the same name, without another line.
    #[derive(Debug, Clone, PartialEq)]
    pub enum Event {
        /// A server event as it came. `is_replay`: it is about an item that a new connection was told, and
        /// no news.
        Raw { text: String, is_replay: bool }
        ResponseStarted { response_id: Option<Arc<str>>, agent_version: u64 }
        AudioStarted { agent_version: u64 }
        Audio {
            response_id: Arc<str>,
            item_id: Arc<str>,
            content_index: usize,
            /// In the session's output format.
            data: Vec<u8>,
        }
        AudioStopped { agent_version: u64 }
        /// A response was cut; `item_id` and `content_index` name the first part of it that was.
        AudioInterrupted {
            agent_version: u64,
            response_id: Arc<str>,
            item_id: Arc<str>,
            content_index: usize,
        }
        /// A response that has ended was heard to its end, or was cut.
        PlaybackEnded { response_id: Arc<str>, played_ms: u64, interrupted: bool }
        /// Another connection has taken the place of one that was lost, or was to end.
        SessionRestored {
            /// `lost`, `expired` or `rollover`.
            reason: &'static str,
            /// How long there was no connection.
            gap: Duration,
            /// Items of the history that the new connection was told.
            items: u64,
            /// Items that it was not told.
            left_out: u64,
            /// The server had the conversation still.
            resumed: bool,
        }
        /// The answer's sound on a media track does not come, comes again, or is lost with the call.
        MediaChanged {
            /// `stalled`, `resumed` or `lost`.
            status: &'static str,
            /// How long nothing had come.
            silence: Duration,
        }
        /// Nothing is left to play: for whoever waits with this token.
        Played { token: u64, heard: bool }
        TranscriptDelta {
            role: Speaker,
            delta: String,
            item_id: Arc<str>,
            response_id: Option<Arc<str>>,
            content_index: usize,
        }
        /// The server could not transcribe what the user said.
        TranscriptionFailed {
            item_id: Arc<str>,
            content_index: usize,
            message: String,
            code: Option<String>,
        }
        /// The server has heard the user begin to speak, in a session of transcription.
        SpeechStarted { item_id: Arc<str>, audio_start_ms: Option<u64> }
        SpeechStopped { item_id: Arc<str>, audio_end_ms: Option<u64> }
        /// What was said so far is an item, whose transcript follows.
        InputCommitted { item_id: Arc<str>, previous_item_id: Option<Arc<str>> }
        /// Who said what, where the model tells speakers apart.
        TranscriptSegment {
            item_id: Arc<str>,
            content_index: usize,
            text: String,
            speaker: Option<String>,
            /// Seconds, in the item.
            start: Option<f64>,
            end: Option<f64>,
        }
        /// Words of a translation, or of what is translated.
        TranslationDelta { role: Speaker, delta: String, elapsed_ms: Option<u64> }
        /// Nobody spoke for as long as the configuration says: the server answers the silence.
        IdleTimeoutTriggered {
            item_id: Arc<str>,
            audio_start_ms: Option<u64>,
            audio_end_ms: Option<u64>,
        }
        /// The caller of a phone call that the server carries has pressed a key.
        DtmfReceived {
            digit: String,
            /// Seconds of the Unix epoch.
            received_at: Option<u64>,
        }
        /// The server plays an answer to a caller of its own.
        CallPlaybackChanged {
            /// `started`, `stopped` or `cleared`.
            status: &'static str,
            response_id: Option<Arc<str>>,
        }
        /// What the transcription of the user's speech cost.
        TranscriptionUsage { usage: Value }
        /// A guardrail must look at what there is of an answer.
        GuardrailDue {
            response_id: Arc<str>,
            item_id: Arc<str>,
            text: String,
            source: GuardSource,
            agent_version: u64,
            response_index: u64,
            connection_id: u64,
        }
        HistoryAdded { item: Arc<Item> }
        HistoryUpdated { history: History }
        McpToolsListed { server_label: String, tools: Value }
        McpApprovalRequested { item: Arc<Item>, agent_version: u64, connection_id: u64 }
        McpCallCompleted { item: Arc<Item>, agent_version: u64 }
        /// An event whose content the session layer keeps under this token.
        LocalEvent { token: u64 }
        /// A client message, as it was queued.
        OutgoingMessage { text: String }
    }
    payloads {
        ConnectionChanged(Box<ConnectionChange>) as it {
            status: Status = it.status,
            reason: Option<String> = it.end.as_ref().map(|end| end.reason.clone()),
            is_clean: Option<bool> = it.end.as_ref().map(|end| end.is_clean),
            code: Option<u64> = it.end.as_ref().and_then(|end| end.code).map(u64::from),
            is_retryable: Option<bool> = it.end.as_ref().map(|end| end.is_retryable),
            retry_after: Option<Duration> = it.end.as_ref().and_then(|end| end.retry_after),
        }
        Transcribed(Box<Transcribed>) as it {
            item_id: Arc<str> = it.item_id,
            content_index: usize = it.content_index,
            text: String = it.text,
            interrupted: bool = it.interrupted,
            logprobs: Option<Value> = it.logprobs,
            languages: Option<Value> = it.languages,
            usage: Option<Value> = it.usage,
        }
        ResponseEnded(Box<ResponseEnded>) as it {
            response_id: Option<Arc<str>> = it.response_id,
            out_of_band: bool = it.out_of_band,
            lost: bool = it.lost,
            agent_version: u64 = it.agent_version,
            item_id: Option<Arc<str>> = it.item_id,
            output: String = it.output,
            source: GuardSource = it.source,
            status: Option<String> = it.status,
            status_details: Option<Value> = it.status_details,
            usage: Option<Value> = it.usage,
            metadata: Option<Value> = it.metadata,
            items: Option<Value> = it.items,
            created: Option<Duration> = it.timings.created,
            first_audio: Option<Duration> = it.timings.first_audio,
            done: Option<Duration> = it.timings.done,
            response_index: u64 = it.response_index,
            connection_id: u64 = it.connection_id,
        }
        FunctionCall(Arc<FunctionCall>) as it {
            call_id: Arc<str> = it.call_id,
            name: String = it.name,
            arguments: String = it.arguments,
            item_id: Arc<str> = it.item_id,
            response_id: Arc<str> = it.response_id,
            agent_version: u64 = it.agent_version,
            connection_id: u64 = it.connection_id,
        }
        CoreError(CoreError) as it {
            kind: &'static str = it.kind(),
            detail: String = it.detail(),
            failed: Option<String> = it.failed().map(str::to_owned),
        }
    }
}

impl Event {
    /// Whether both are words, of the same part.
    pub fn continues(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (
                Self::TranscriptDelta {
                    role,
                    response_id,
                    item_id,
                    content_index,
                    ..
                },
                Self::TranscriptDelta {
                    role: whose,
                    response_id: response,
                    item_id: item,
                    content_index: part,
                    ..
                },
            ) => (role, response_id, item_id, content_index) == (whose, response, item, part),
            (Self::TranslationDelta { role, .. }, Self::TranslationDelta { role: whose, .. }) => {
                role == whose
            }
            _ => false,
        }
    }

    /// Rewrites the texts for people that may quote the server. Server events as they came are none.
    pub fn edit_quotes(&mut self, edit: &dyn Fn(&mut String)) {
        match self {
            Self::ConnectionChanged(change) => {
                if let Some(end) = &mut change.end {
                    edit(&mut end.reason);
                }
            }
            Self::CoreError(error) => error.edit_quotes(edit),
            Self::TranscriptionFailed { message, .. } => edit(message),
            _ => {}
        }
    }

    /// Puts earlier words of its part before its own; how many bytes that were.
    pub fn take_up(&mut self, earlier: &Self) -> Option<usize> {
        if !self.continues(earlier) {
            return None;
        }
        match (self, earlier) {
            (Self::TranscriptDelta { delta, .. }, Self::TranscriptDelta { delta: before, .. })
            | (
                Self::TranslationDelta { delta, .. },
                Self::TranslationDelta { delta: before, .. },
            ) => {
                delta.insert_str(0, before);
                Some(before.len())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(item: &str, delta: &str) -> Event {
        Event::TranscriptDelta {
            role: Speaker::Assistant,
            response_id: None,
            item_id: item.into(),
            content_index: 0,
            delta: delta.to_owned(),
        }
    }

    #[test]
    fn words_are_taken_up_by_later_ones_of_their_part_alone() {
        let mut later = words("a", "there");
        assert_eq!(later.take_up(&words("a", "hello ")), Some(6));
        assert_eq!(later, words("a", "hello there"));
        assert_eq!(later.take_up(&words("b", "no")), None);
        assert_eq!(
            later.take_up(&Event::AudioStopped { agent_version: 0 }),
            None
        );
        assert_eq!(later, words("a", "hello there"));
    }
}
