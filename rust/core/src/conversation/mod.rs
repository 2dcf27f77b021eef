//! The conversation as a state machine without IO.
//!
//! Server frames and commands go in with the time at which they come; events for the session and
//! messages for the server come out, in one order. It opens no socket, reads no clock, starts no
//! thread, and so can be fuzzed and run under a virtual clock.

mod capabilities;
mod client_event;
mod commands;
mod event;
mod guard;
mod history;
mod interruption;
mod item;
mod media_track;
mod outbox;
mod output_audio;
mod playback;
mod record;
mod replay;
mod response;
mod sequencer;
mod server;
mod server_event;
mod speech_rate;
mod tool_answers;
mod tool_calls;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use capabilities::{Capabilities, Media, Truncation};
pub use client_event::ClientEvent;
pub use commands::Rejected;
pub use event::{CoreError, Event, Interest, ResponseEnded, Speaker, Status, Timings};
pub use guard::GuardSource;
pub use history::History;
pub use item::{ContentPart, HeardExtent, Item, ItemId, ItemKind, ItemPosition, Progress, Role};
pub use media_track::TrackAudio;
pub use outbox::{Output, Sequenced};
pub(crate) use output_audio::{AudioDelta, AudioPart};
pub use playback::PlaybackSource;
pub use record::{FieldValue, RecordType};
pub use replay::WrittenItem;
pub use server_event::ServerEvent;
pub use tool_answers::AgentSwitch;
pub use tool_calls::FunctionCall;

use guard::GuardWatch;
use history::Ledger;
use media_track::MediaTrack;
use outbox::Outbox;
use playback::Playback;
use replay::HistoryRequests;
use response::Responses;
use sequencer::Sequencer;
use speech_rate::SpeechRate;
use tool_calls::ToolCalls;

/// How a conversation behaves. Times are bounds, each with its default.
#[derive(Debug, Clone)]
pub struct Options {
    /// Keep the audio of messages in the history. Off: it is left out.
    pub history_store_audio: bool,
    /// Characters between two looks of the output guardrails: 100. Negative: one look only, at the
    /// end of the turn. Nothing is gathered unless [`Interest::GUARDRAILS`] is wanted.
    pub guardrail_debounce: i64,
    /// Whether a user who starts to speak interrupts the answer.
    pub speech_interrupts: bool,
    pub playback: PlaybackSource,
    /// Ask for a response when a hosted MCP call has completed.
    pub respond_to_mcp_calls: bool,
    /// How long the server may leave a `response.create` unanswered before it is given up: 30 s.
    pub response_timeout: Duration,
    /// How many `response.create` with a payload may wait: 64.
    pub waiting_responses: usize,
    /// How many answered function calls are remembered, to answer repeats: 256.
    pub answered_calls: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            history_store_audio: false,
            guardrail_debounce: 100,
            speech_interrupts: true,
            playback: PlaybackSource::default(),
            respond_to_mcp_calls: true,
            response_timeout: Duration::from_secs(30),
            waiting_responses: 64,
            answered_calls: 256,
        }
    }
}

/// A conversation between a user, a model, and an agent's tools.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub struct Conversation {
    options: Options,
    /// Of the transport that carries it now.
    capabilities: Capabilities,
    outbox: Outbox,
    status: Status,
    /// Counts connections: what belongs to an older one is stale.
    connection_id: u64,
    /// Counts agents: the session layer knows which agent an agent version stands for.
    agent_version: u64,
    muted: bool,
    history: Ledger,
    sequencer: Sequencer,
    playback: Playback,
    media_track: MediaTrack,
    speech_rate: SpeechRate,
    guard: GuardWatch,
    tool_calls: ToolCalls,
    responses: Responses,
    history_requests: HistoryRequests,
    /// MCP approval requests that have been passed on, and what they asked.
    mcp_approvals: HashMap<ItemId, Arc<Item>>,
    /// What the session wants to be traced as: `"auto"`, an object, or null for not at all.
    tracing: Value,
    /// Whether the server says that it cancels the answer itself when the user speaks.
    server_interrupts: bool,
    audio_started: bool,
    /// All sound of the active response has been made, if it has any.
    audio_generated: bool,
    /// The assistant has been heard on this connection: its voice stays as it is.
    spoken: bool,
    /// When the user's turn ended, as far as we saw it.
    turn_ended: Option<Duration>,
}

impl Conversation {
    pub fn new(options: Options) -> Self {
        Self {
            capabilities: Capabilities::default(),
            outbox: Outbox::default(),
            status: Status::Disconnected,
            connection_id: 0,
            agent_version: 0,
            muted: false,
            history: Ledger::new(options.history_store_audio),
            sequencer: Sequencer::new(options.response_timeout, options.waiting_responses),
            playback: Playback::new(options.playback),
            media_track: MediaTrack::default(),
            speech_rate: SpeechRate::default(),
            guard: GuardWatch::new(options.guardrail_debounce),
            tool_calls: ToolCalls::new(options.answered_calls),
            responses: Responses::default(),
            history_requests: HistoryRequests::default(),
            mcp_approvals: HashMap::new(),
            tracing: Value::String("auto".to_owned()),
            server_interrupts: false,
            audio_started: false,
            audio_generated: false,
            spoken: false,
            turn_ended: None,
            options,
        }
    }

    pub fn status(&self) -> Status {
        self.status
    }

    /// What the transport of the newest connection declared.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    pub fn muted(&self) -> bool {
        self.muted
    }

    /// Whether the assistant has been heard on this connection.
    pub fn has_spoken(&self) -> bool {
        self.spoken
    }

    /// Pins the current version of the history.
    pub fn history(&self) -> History {
        self.history.version().clone()
    }

    /// Says which events somebody wants.
    pub fn set_interest(&mut self, interest: Interest) {
        self.outbox.set_interest(interest);
    }

    /// The number that the last event or message got.
    pub fn sequence(&self) -> u64 {
        self.outbox.sequence()
    }

    /// The next event or client message, in order.
    pub fn poll_output(&mut self) -> Option<Sequenced> {
        self.outbox.pop()
    }

    /// When [`Self::handle_timeout`] wants to be called, if at all.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.sequencer.deadline()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Some(event_id) = self.sequencer.expire(now) {
            let seconds = self.options.response_timeout.as_secs_f64();
            self.report(CoreError::Unanswered(format!(
                "the server left response.create ({event_id}) unanswered for {seconds} s: it is given \
                 up; raise response_timeout if the server is slow"
            )));
            self.flush_responses(now);
        }
    }

    fn report(&mut self, error: CoreError) {
        self.outbox.event(Event::CoreError(error));
    }

    /// Sends the next `response.create` if it may go.
    fn flush_responses(&mut self, now: Duration) {
        if self.status != Status::Connected {
            return;
        }
        if let Some(event) = self.sequencer.next(now) {
            self.turn_ended.get_or_insert(now);
            self.outbox.message(Value::Object(event).to_string());
        }
    }

    fn request_response_auto(&mut self, now: Duration) {
        self.sequencer.request_auto();
        self.flush_responses(now);
    }

    /// A tool of that response asks for the next one: it is due once no other of its tools is at
    /// work and the response itself is over.
    fn request_response_after(&mut self, response_id: &str, now: Duration) {
        self.responses.want_next(response_id, self.agent_version);
        self.settle_response(response_id, now);
    }

    fn settle_response(&mut self, response_id: &str, now: Duration) {
        if self.responses.is_active(response_id) || self.tool_calls.any_running(response_id) {
            return;
        }
        if self.responses.take_wants_next(response_id) {
            self.request_response_auto(now);
        }
    }

    fn history_updated(&mut self) {
        let history = self.history.version().clone();
        self.outbox.event(Event::HistoryUpdated { history });
    }

    /// Puts an item into the history and says so.
    fn put_item(&mut self, mut item: Item) -> Arc<Item> {
        self.responses.mark_heard(&mut item);
        let (item, new) = self.history.put(item);
        if new {
            self.outbox.event(Event::HistoryAdded {
                item: Arc::clone(&item),
            });
        }
        self.history_updated();
        item
    }

    /// Forgets what belongs to one connection only.
    fn reset_connection(&mut self) {
        self.sequencer.reset();
        self.playback.reset();
        self.media_track.reset();
        self.guard.reset();
        self.tool_calls.reset();
        self.responses = Responses::default();
        self.history_requests.reset();
        self.mcp_approvals.clear();
        self.audio_started = false;
        self.audio_generated = false;
        self.spoken = false;
        self.turn_ended = None;
    }
}
