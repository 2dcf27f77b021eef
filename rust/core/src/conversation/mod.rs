//! The conversation as a state machine without IO.
//!
//! Server frames and commands go in, each with its time of arrival. Events for the session and
//! messages for the server come out, in one order. The conversation opens no socket, reads no clock
//! and starts no thread, so it can be fuzzed and run under a virtual clock.

mod audio_commands;
mod binary_audio;
mod cancellations;
mod capabilities;
mod client_event;
mod commands;
mod configuration;
mod core_error;
mod dialect;
mod early_audio;
mod ending;
mod event;
mod guard;
mod heard;
mod history;
mod history_requests;
mod instructed_feedback;
mod interruption;
mod item;
mod lenient;
mod mcp_failures;
mod media_track;
mod normalise;
mod options;
mod outbox;
mod output_audio;
mod partial_calls;
mod paused_answer;
mod playback;
mod played;
mod profile;
mod purpose;
mod rate_limits;
pub(crate) mod record;
mod replay;
mod reported_error;
mod response;
mod sequencer;
mod server;
mod server_event;
mod speech_rate;
mod survival;
mod tool_answers;
mod tool_calls;
mod transcripts;
mod unvoiced;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use binary_audio::FramedPart;
pub use capabilities::{Capabilities, Media, Truncation};
pub use client_event::ClientEvent;
pub use commands::Rejected;
pub use core_error::CoreError;
pub use dialect::{Dialect, SessionLayout};
pub use event::{
    ConnectionChange, ConnectionEnd, Event, Interest, ResponseEnded, Speaker, Status, Timings,
};
pub use guard::GuardSource;
pub use history::History;
pub use item::{ContentPart, HeardExtent, Item, ItemId, ItemKind, ItemPosition, Progress, Role};
pub use media_track::TrackAudio;
pub use options::Options;
pub use outbox::{CallerCommand, Output, Sequenced};
pub(crate) use output_audio::{AudioBytes, AudioDelta, AudioPart};
pub use playback::PlaybackSource;
pub use profile::Profile;
pub use purpose::Purpose;
pub use rate_limits::RateLimit;
pub use record::{FieldValue, Record, RecordType};
pub use replay::WrittenItem;
pub use reported_error::ReportedError;
pub use server_event::{Confirmed, ServerEvent};
pub use survival::{Replayed, SharedText, SurvivalOptions};
pub use tool_answers::AgentSwitch;
pub use tool_calls::FunctionCall;
pub use transcripts::Transcribed;

use cancellations::Cancellations;
use configuration::Configuration;
use early_audio::EarlyAudio;
use ending::Sound;
use guard::GuardWatch;
use history::Ledger;
use history_requests::HistoryRequests;
use instructed_feedback::InstructedFeedback;
use mcp_failures::McpFailures;
use media_track::MediaTrack;
use outbox::Outbox;
use partial_calls::PartialCalls;
use paused_answer::PausedAnswer;
use playback::Playback;
use played::PlayedWaiter;
use response::Responses;
use sequencer::Sequencer;
use server::AskedFormats;
use speech_rate::SpeechRate;
use survival::{ResumedItems, Surviving};
use tool_calls::ToolCalls;
use transcripts::Transcripts;

/// A conversation between a user, a model, and an agent's tools.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub struct Conversation {
    options: Options,
    /// The capabilities of the current transport.
    capabilities: Capabilities,
    /// What the provider has, whatever the transport.
    profile: Profile,
    outbox: Outbox,
    status: Status,
    /// Counts connections: everything that belongs to an older one is stale. One that takes the place
    /// of a lost one has the same number.
    connection_id: u64,
    /// Counts connections, those that take the place of others included: of an older one nothing is
    /// read any more.
    wire_id: u64,
    /// The wire ids that were given out.
    wires: u64,
    /// The newest connection that the user closed. What still comes of it and of older ones is not
    /// told.
    closed_connection: u64,
    /// Counts switches of the agent: the session layer maps a version to its agent.
    agent_version: u64,
    muted: bool,
    early_audio: EarlyAudio,
    history: Ledger,
    sequencer: Sequencer,
    playback: Playback,
    media_track: MediaTrack,
    speech_rate: SpeechRate,
    guard: GuardWatch,
    tool_calls: ToolCalls,
    responses: Responses,
    partial_calls: PartialCalls,
    mcp_failures: McpFailures,
    /// The response, the item and the part that the server announced last.
    announced: Option<(Arc<str>, ItemId, usize)>,
    history_requests: HistoryRequests,
    /// What each conversation begins with.
    first_items: Vec<WrittenItem>,
    /// The MCP approval requests of this wire that have been passed on.
    mcp_approvals: HashMap<ItemId, McpApproval>,
    /// The tracing that the session wants: `"auto"`, an object, or null for none.
    tracing: Value,
    /// The audio formats that the session asked for.
    asked: AskedFormats,
    configuration: Configuration,
    /// What a guardrail said, where it stands in the instructions.
    feedback: Option<InstructedFeedback>,
    /// Whether the server cancels the answer itself when the user speaks, as it states.
    server_interrupts: bool,
    /// Whether the server answers by itself when the user has spoken, as it states.
    server_responds: bool,
    /// The user has spoken: the next response that begins is the server's own.
    own_response_due: bool,
    sound: Sound,
    /// The answer is paused, for the caller may want to speak.
    paused: Option<PausedAnswer>,
    /// Whether the assistant has spoken on this connection. The voice cannot change after that.
    spoken: bool,
    /// Whether audio of the user's was sent, and neither this side nor the server has committed it.
    uncommitted: bool,
    /// When the user's turn ended, if an event or a command told.
    turn_ended: Option<Duration>,
    /// The transcript of a user's item so far, where the server sends all of it each time.
    cumulative: Option<(ItemId, String)>,
    /// Those who wait until nothing is left to play.
    played_waiters: Vec<PlayedWaiter>,
    cancellations: Cancellations,
    /// Counts truncations at 0, for their event ids.
    truncations: u64,
    /// The event ids and items of truncations at 0.
    unheard: VecDeque<(String, ItemId)>,
    survival: Option<Box<Surviving>>,
    /// Of a conversation that the server has resumed by itself.
    resumed: Option<Box<ResumedItems>>,
    /// As the server stated them last.
    rate_limits: Vec<RateLimit>,
    transcripts: Transcripts,
}

/// A hosted MCP server's request for an approval.
#[derive(Debug)]
struct McpApproval {
    item: Arc<Item>,
    is_answered: bool,
}

impl Conversation {
    pub fn new(options: Options) -> Self {
        Self {
            capabilities: Capabilities::default(),
            profile: Profile::default(),
            outbox: Outbox::default(),
            status: Status::Disconnected,
            connection_id: 0,
            wire_id: 0,
            wires: 0,
            closed_connection: 0,
            agent_version: 0,
            muted: false,
            early_audio: EarlyAudio::default(),
            history: Ledger::new(options.history_store_audio),
            sequencer: Sequencer::new(options.response_timeout, options.waiting_responses),
            playback: Playback::new(options.playback),
            media_track: MediaTrack::default(),
            speech_rate: SpeechRate::default(),
            guard: GuardWatch::new(options.guardrail_debounce),
            tool_calls: ToolCalls::new(options.answered_calls),
            responses: Responses::default(),
            partial_calls: PartialCalls::default(),
            mcp_failures: McpFailures::default(),
            announced: None,
            history_requests: HistoryRequests::default(),
            first_items: Vec::new(),
            mcp_approvals: HashMap::new(),
            tracing: Value::String("auto".to_owned()),
            asked: AskedFormats::default(),
            configuration: Configuration::default(),
            feedback: None,
            server_interrupts: false,
            server_responds: true,
            own_response_due: false,
            sound: Sound::default(),
            paused: None,
            spoken: false,
            uncommitted: false,
            turn_ended: None,
            cumulative: None,
            played_waiters: Vec::new(),
            cancellations: Cancellations::default(),
            truncations: 0,
            unheard: VecDeque::new(),
            survival: None,
            resumed: None,
            rate_limits: Vec::new(),
            transcripts: Transcripts::default(),
            options,
        }
    }

    pub fn status(&self) -> Status {
        self.status
    }

    /// The capabilities that the transport of the newest connection declared.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// The connection in charge, or the one that is being made.
    pub fn wire_id(&self) -> u64 {
        self.wire_id
    }

    /// A wire id for a connection that is not in charge yet.
    pub fn new_wire(&mut self) -> u64 {
        self.wires += 1;
        self.wires
    }

    pub fn muted(&self) -> bool {
        self.muted
    }

    /// Whether the assistant has spoken on this connection. One that is over does not count.
    pub fn has_spoken(&self) -> bool {
        self.spoken && self.status == Status::Connected
    }

    /// Pins the current version of the history.
    pub fn history(&self) -> History {
        self.history.version().clone()
    }

    /// Sets which optional events are built.
    pub fn set_interest(&mut self, interest: Interest) {
        self.outbox.set_interest(interest);
    }

    /// The sequence number of the last event or message.
    pub fn sequence(&self) -> u64 {
        self.outbox.sequence()
    }

    /// The next event or client message, in order.
    pub fn poll_output(&mut self) -> Option<Sequenced> {
        self.outbox.pop()
    }

    /// When [`Self::handle_timeout`] must be called, if at all.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let request = self.sequencer.deadline();
        let response = self.response_deadline();
        let pause = self.pause_deadline();
        let deadlines = [request, response, self.playback_deadline(), pause];
        deadlines.into_iter().flatten().min()
    }

    /// When the current response is given up, if a request waits for its end.
    fn response_deadline(&self) -> Option<Duration> {
        let is_waited_for = self.sequencer.is_held_up() && self.status == Status::Connected;
        let active_at = is_waited_for.then(|| self.responses.active_at()).flatten();
        active_at.map(|at| at + self.options.response_timeout)
    }

    /// Gives up requests and responses whose deadline has passed, and says what was heard to its end.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.settle_pause(now);
        let seconds = self.options.response_timeout.as_secs_f64();
        if let Some(event_id) = self.sequencer.expire(now) {
            self.report(CoreError::Unanswered(format!(
                "the server left response.create ({event_id}) unanswered for {seconds} s: it is given \
                 up; raise response_timeout if the server is slow"
            )));
            self.flush_responses(now);
        }
        if self.sequencer.unblock(now) {
            self.report(CoreError::Unanswered(format!(
                "the server refused a response.create because of a response that did not end within \
                 {seconds} s: it is asked again"
            )));
            self.flush_responses(now);
        }
        if self
            .response_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.give_up_current(now);
        }
        if self
            .playback_deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.advance_playback(now);
        }
        self.settle_played();
    }

    /// Stops waiting for the end of the current response, with an error event that says so.
    fn give_up_current(&mut self, now: Duration) {
        let seconds = self.options.response_timeout.as_secs_f64();
        let id = self.responses.give_up();
        let named = id
            .as_ref()
            .map_or_else(String::new, |id| format!(" ({id})"));
        self.report(CoreError::Unanswered(format!(
            "the server sent nothing of its response for {seconds} s and did not end it, while the \
             next one waits: it is taken as over; raise response_timeout if the server is slow{named}"
        )));
        if let Some(id) = id {
            self.settle_response(&id, now);
        }
        self.flush_responses(now);
    }

    /// Reports what went wrong outside of the conversation.
    pub(crate) fn reported(&mut self, error: CoreError) {
        self.report(error);
    }

    fn report(&mut self, error: CoreError) {
        self.outbox.event(Event::CoreError(error));
    }

    /// Sends the next `response.create` if one is due.
    fn flush_responses(&mut self, now: Duration) {
        if self.status != Status::Connected || self.responses.is_busy() {
            return;
        }
        if let Some(event) = self.sequencer.next(now) {
            self.turn_ended.get_or_insert(now);
            self.outbox.message(ClientEvent::requested(event));
        }
    }

    fn request_response_auto(&mut self, now: Duration) {
        self.sequencer.request_auto();
        self.flush_responses(now);
    }

    /// A call of that response asks for the next response, which is due when the response has ended
    /// and none of its calls is running.
    fn request_response_after(&mut self, response_id: &str, now: Duration) {
        self.responses.want_next(response_id, self.agent_version);
        self.settle_response(response_id, now);
    }

    /// The next response belongs to the same turn as that one.
    fn continue_turn(&mut self, response_id: &str) {
        if let Some(since) = self.responses.since(response_id) {
            self.turn_ended.get_or_insert(since);
        }
    }

    fn settle_response(&mut self, response_id: &str, now: Duration) {
        if self.responses.is_current(response_id) || self.tool_calls.any_running(response_id) {
            return;
        }
        if self.responses.take_wants_next(response_id) {
            self.continue_turn(response_id);
            self.request_response_auto(now);
        }
    }

    fn history_updated(&mut self) {
        let history = self.history.version().clone();
        self.outbox.event(Event::HistoryUpdated { history });
    }

    /// Puts an item into the history and emits the events for it.
    fn put_item(&mut self, mut item: Item) -> Arc<Item> {
        if self.history.is_deleted(&item.id) {
            return Arc::new(item);
        }
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

    /// Forgets what the server and this side know of each other over one wire, which another one for the
    /// same conversation does not carry on.
    fn reset_wire(&mut self) {
        self.media_track.reset();
        self.guard.reset();
        self.partial_calls.reset();
        self.mcp_failures.reset();
        self.mcp_approvals.clear();
        self.announced = None;
        self.spoken = false;
        self.cancellations.reset();
        self.unheard.clear();
        self.resumed = None;
        self.outbox.forget_names();
    }

    /// Forgets the state that belongs to one connection.
    fn reset_connection(&mut self) {
        self.reset_wire();
        self.early_audio = EarlyAudio::default();
        self.sequencer.reset();
        if !self.playback.is_empty() {
            // What the caller's end holds of an answer is not heard any more.
            self.stop_playback(Duration::ZERO);
        }
        self.playback.reset();
        self.tool_calls.reset();
        self.responses = Responses::default();
        self.history_requests.reset();
        self.sound = Sound::default();
        self.uncommitted = false;
        self.server_responds = true;
        self.own_response_due = false;
        self.turn_ended = None;
        self.outbox.release();
        self.outbox.take_unconfirmed();
        self.outbox.tell(None);
        self.forget_feedback();
        self.transcripts = Transcripts::default();
        if let Some(survival) = &mut self.survival {
            survival.reset();
        }
        self.give_up_played();
    }
}
