//! The commands of the session.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use super::capabilities::{Capabilities, Truncation};
use super::client_event::ClientEvent;
use super::core_error::CoreError;
use super::event::{ConnectionChange, ConnectionEnd, Event, Status};
use super::guard::GuardSource;
use super::item::{ItemId, text};
use super::outbox::CallerCommand;
use super::playback::PlaybackSource;
use super::replay::WrittenItem;
use super::server_event::ServerEvent;
use super::{Conversation, replay};

/// Why a command was rejected. A rejected command has no effect at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Rejected {
    #[error("the session is not connected: call connect() first")]
    NotConnected,
    #[error("the session is already connected or connecting: call close() first")]
    AlreadyConnected,
    #[error(
        "the call has ended: nobody would hear the session. The next call needs a session of its own"
    )]
    CallOver,
    /// The connection, response or call that the command belongs to is over.
    #[error("it belongs to a connection, response or call that is over")]
    Stale,
    #[error(
        "the event is {bytes} bytes long, and another one that is longer than max_outgoing_bytes \
         ({limit}) still waits to be sent: send it later, or raise max_outgoing_bytes"
    )]
    TooLong { bytes: usize, limit: usize },
    #[error(
        "the event is {bytes} bytes long, and the server takes at most {limit} bytes at once over its \
         data channel: send less at once (shorter instructions, fewer tools, smaller images), or use \
         the WebSocket"
    )]
    TooLongForServer { bytes: usize, limit: usize },
    #[error("{limit} response.create requests are waiting already: wait for responses to end")]
    TooManyRequests { limit: usize },
    #[error(
        "the connection is being made again, and {limit} bytes of commands wait for it already: \
         wait for the SessionRestored event"
    )]
    TooMuchHeld { limit: usize },
    #[error("{0}")]
    Invalid(String),
}

impl Conversation {
    pub(crate) fn connected(&self) -> Result<(), Rejected> {
        match self.status {
            Status::Connected => Ok(()),
            // They wait for the next connection.
            Status::Reconnecting => self.room_to_hold(),
            Status::Connecting | Status::Disconnected => Err(Rejected::NotConnected),
        }
    }

    /// Whether the user's sound is taken: while connecting, it waits.
    pub(crate) fn takes_audio(&self) -> Result<(), Rejected> {
        if self.status == Status::Disconnected {
            return Err(Rejected::NotConnected);
        }
        Ok(())
    }

    pub(super) fn status_changed(&mut self, status: Status, end: Option<ConnectionEnd>) {
        self.status = status;
        if self.playback.source() == PlaybackSource::Caller {
            self.tell_caller(status, end.as_ref());
        }
        let change = ConnectionChange { status, end };
        self.outbox.event(Event::ConnectionChanged(change.into()));
    }

    fn tell_caller(&mut self, status: Status, end: Option<&ConnectionEnd>) {
        if status != Status::Connected {
            // Nobody would say that the caller has stopped, or what they said.
            self.note_speech(false);
            self.resume_paused();
        }
        // A session that was closed is its owner's affair.
        if end.is_none_or(|end| !end.is_ours) {
            let is_attended = status != Status::Disconnected;
            self.outbox.caller(CallerCommand::Attended(is_attended));
        }
    }

    /// Begins a connection over a transport with these capabilities. Returns its connection id.
    pub fn connecting(&mut self, capabilities: Capabilities) -> Result<u64, Rejected> {
        if self.status != Status::Disconnected {
            return Err(Rejected::AlreadyConnected);
        }
        self.next_connection();
        self.capabilities = capabilities;
        if !self.profile.truncates && capabilities.truncation == Truncation::Client {
            self.capabilities.truncation = Truncation::Nobody;
        }
        self.reset_connection();
        self.status_changed(Status::Connecting, None);
        Ok(self.connection_id)
    }

    fn next_connection(&mut self) {
        self.wire_id = self.new_wire();
        self.connection_id = self.wire_id;
    }

    /// Handles an open connection: sends the session's configuration, and clears the history.
    pub fn opened(
        &mut self,
        connection_id: u64,
        agent_version: u64,
        session_update: String,
        tracing: Value,
    ) -> Result<(), Rejected> {
        if connection_id != self.connection_id || self.status != Status::Connecting {
            return Err(Rejected::Stale);
        }
        self.agent_version = agent_version;
        self.tracing = tracing;
        self.status_changed(Status::Connected, None);
        self.configured(&session_update);
        // What the instructions have to end with is known when all items are.
        let later = (!self.profile.messages).then(|| session_update.clone());
        if later.is_none() {
            self.outbox.message(session_update);
        }
        self.history.clear();
        if !self.replay_stored() {
            self.replay_first_items();
        }
        if let Some(session_update) = later {
            self.outbox.message(session_update);
        }
        self.send_early_audio()
    }

    /// Sets the items that each conversation begins with: they stand in the history from its start, and
    /// are told to the server, which is no news. Returns a sentence for each item that is left out.
    pub fn begin_with(&mut self, items: Vec<WrittenItem>) -> Result<Vec<String>, Rejected> {
        let (items, left_out) = replay::tellable(items).map_err(Rejected::Invalid)?;
        self.first_items = items;
        Ok(left_out)
    }

    fn replay_first_items(&mut self) {
        let mut previous: ItemId = "root".into();
        let mut messages = Vec::new();
        for written in &self.first_items {
            self.history.append(written.stored());
            messages.extend(written.tell(&mut previous, &mut self.history_requests));
        }
        self.tell(messages);
        self.history_updated();
    }

    /// Handles the end of a connection, or the failure to open one.
    pub fn ended(&mut self, connection_id: u64, end: ConnectionEnd) {
        if connection_id != self.wire_id || self.status == Status::Disconnected {
            return;
        }
        if self.status == Status::Reconnecting {
            return self.give_up(end);
        }
        self.end_unfinished();
        self.interrupt_transcripts();
        self.sequencer.reset();
        self.give_up_played();
        self.status_changed(Status::Disconnected, Some(end));
    }

    /// Handles a server that reports an error before anything else: it will not begin the session.
    pub fn refused(&mut self, connection_id: u64, event: ServerEvent<'_>, end: ConnectionEnd) {
        if connection_id != self.wire_id || self.status != Status::Connected {
            return;
        }
        if let Some(text) = event.raw {
            let is_replay = false;
            self.outbox.event(Event::Raw { text, is_replay });
        }
        self.outbox.close(1000, "");
        self.ended(connection_id, end);
    }

    /// Closes the connection. Everything that is still under way becomes stale: as in the reference,
    /// nothing more is told of it, and the history stays as it was told, until the next connection.
    pub fn close(&mut self, code: u16, reason: &str) {
        self.closed_connection = self.connection_id;
        if self.status == Status::Disconnected {
            return;
        }
        self.next_connection();
        self.reset_connection();
        self.outbox.close(code, reason);
        self.status_changed(Status::Disconnected, Some(ConnectionEnd::by_us()));
    }

    /// Sends an event that the user wrote, unchanged. A `response.create` is queued in the
    /// sequencer.
    pub fn send_event(&mut self, event: Map<String, Value>, now: Duration) -> Result<(), Rejected> {
        self.connected()?;
        match event.get("type").and_then(Value::as_str) {
            Some("response.create") => return self.request_manual(event, now),
            Some("response.cancel") => self.note_cancel(&event),
            Some("session.update") => {
                let mut update = Value::Object(event.clone());
                self.outbox.read_update(&mut update);
                self.note_update(&update);
            }
            Some(_) => {}
            None => {
                return Err(Rejected::Invalid(
                    "an event needs a type: a string".to_owned(),
                ));
            }
        }
        let kept = self.note_sound_event(&event);
        let event = ClientEvent::from_user(event);
        if event.is_audio {
            self.uncommitted = true;
            self.keep_sound(&event, &[]);
        }
        if !(kept && self.status == Status::Reconnecting) {
            self.outbox.message(event);
        }
        Ok(())
    }

    /// Sends a message of the user (a whole `conversation.item.create`). With `respond`, requests a
    /// response.
    pub fn send_message(
        &mut self,
        event: &Map<String, Value>,
        respond: bool,
        now: Duration,
    ) -> Result<(), Rejected> {
        self.connected()?;
        if self.survives() {
            let event = self.with_item_id(event);
            self.outbox.message(event);
        } else {
            self.outbox
                .message(serde_json::to_string(event).unwrap_or_default());
        }
        if respond {
            self.request_response_auto(now);
        }
        Ok(())
    }

    pub fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// Handles the player's report that it has played `played_ms` of a part of an answer.
    pub fn playback_reported(&mut self, item_id: &str, content_index: usize, played_ms: f64) {
        self.playback.report(item_id, content_index, played_ms);
        self.count_heard();
        self.settle_played();
    }

    /// The caller's end has still to play the last `left_ms` milliseconds of the output stream.
    pub(crate) fn left_to_play(&mut self, left_ms: f64) {
        self.playback.left_to_play(left_ms);
        if self.playback.has_heard() {
            self.count_heard();
            self.settle_played();
        }
    }

    /// Sound that belongs to no answer, `length_ms` milliseconds of it, is on its way to the caller.
    pub(crate) fn caller_hears(&mut self, length_ms: f64, now: Duration) {
        self.playback.room(length_ms, now);
    }

    /// Requests a response, with a payload or without.
    pub fn request_response(
        &mut self,
        response: Option<Value>,
        now: Duration,
    ) -> Result<(), Rejected> {
        self.connected()?;
        match response {
            None => self.request_response_auto(now),
            Some(response) => {
                let mut event = ClientEvent::response_create_with(response);
                self.outbox.write(&mut event);
                self.request_manual(event, now)?;
            }
        }
        Ok(())
    }

    /// Queues a `response.create`. A response out of band waits for no other.
    fn request_manual(
        &mut self,
        mut event: Map<String, Value>,
        now: Duration,
    ) -> Result<(), Rejected> {
        let conversation = event
            .get("response")
            .and_then(|response| response.get("conversation"));
        if conversation.and_then(Value::as_str) == Some("none") {
            self.sequencer.name(&mut event);
            self.outbox.message(ClientEvent::from_user(event));
            return Ok(());
        }
        self.sequencer
            .request_manual(event)
            .map_err(|limit| Rejected::TooManyRequests { limit })?;
        self.flush_responses(now);
        Ok(())
    }

    /// The user cancels a response by its id, or the current one.
    fn note_cancel(&mut self, event: &Map<String, Value>) {
        let named = text_of(event, "response_id");
        let meant = match named {
            Some(id) if !self.responses.is_current(id) => {
                if let Some(response) = self.responses.get_mut(id) {
                    response.cancelling |= !response.done;
                }
                None
            }
            _ => {
                self.responses.cancel_current();
                self.responses.is_busy().then(|| self.responses.index())
            }
        };
        let event_id = text_of(event, "event_id");
        self.cancellations
            .sent(event_id, named.map(Arc::from), meant);
    }

    /// Rewrites the conversation. The history changes when the server confirms. Returns a sentence
    /// for each changed or new item that cannot be sent, and is left as it was, or out.
    pub fn update_history(&mut self, new: &[WrittenItem]) -> Result<Vec<String>, Rejected> {
        let mut requests = std::mem::take(&mut self.history_requests);
        let before = requests.checkpoint();
        let planned = replay::plan(&mut requests, self.history.version(), new);
        let result = match planned {
            Err(why) => Err(Rejected::Invalid(why)),
            Ok(plan) if !plan.messages.is_empty() && !self.status.is_standing() => {
                Err(Rejected::NotConnected)
            }
            Ok(plan) => {
                plan.messages
                    .into_iter()
                    .for_each(|message| self.outbox.message(message));
                Ok(plan.left_out)
            }
        };
        if result.is_err() {
            requests.roll_back(before);
        }
        self.history_requests = requests;
        result
    }

    /// Emits a local event, whose content the session layer keeps under `token`.
    pub fn local_event(&mut self, token: u64) {
        self.outbox.event(Event::LocalEvent { token });
    }

    pub(super) fn local_events(&mut self, tokens: &[u64]) {
        for token in tokens {
            self.local_event(*token);
        }
    }

    /// Answers an MCP approval request. The request belongs to one wire: another one does not know it.
    pub fn answer_mcp_approval(
        &mut self,
        connection_id: u64,
        item_id: &str,
        approve: bool,
        reason: Option<&str>,
    ) -> Result<(), Rejected> {
        if connection_id != self.connection_id {
            return Err(Rejected::Stale);
        }
        self.connected()?;
        let asked = self.mcp_approvals.get_mut(item_id);
        let asked = asked.filter(|it| !it.is_answered).ok_or(Rejected::Stale)?;
        asked.is_answered = true;
        self.outbox
            .message(ClientEvent::mcp_approval_response(item_id, approve, reason));
        Ok(())
    }

    /// Handles a guardrail that tripped on a response, once for each response: emits a local event
    /// (`token`), stops the answer, tells the model `feedback` (a whole `conversation.item.create`), and
    /// asks for another answer. If a newer response has begun, only the event is emitted.
    #[expect(
        clippy::too_many_arguments,
        reason = "all of them say which answer is meant"
    )]
    pub fn guardrail_tripped(
        &mut self,
        connection_id: u64,
        response_index: u64,
        response_id: Option<&str>,
        source: GuardSource,
        token: u64,
        feedback: &Map<String, Value>,
        now: Duration,
    ) -> Result<(), Rejected> {
        if connection_id != self.connection_id {
            return Err(Rejected::Stale);
        }
        if !self
            .responses
            .trip(response_id.unwrap_or_default(), self.agent_version)
        {
            return Err(Rejected::Stale);
        }
        self.local_event(token);
        if self.closed_connection == connection_id {
            return Ok(());
        }
        if !self.status.is_standing() {
            self.report(CoreError::NotSent(
                "the model was not told of the guardrail: the connection was lost".to_owned(),
            ));
            return Ok(());
        }
        let current = self.responses.current().map(Arc::clone);
        let newer = response_index != self.responses.index()
            || current
                .as_deref()
                .is_some_and(|current| Some(current) != response_id);
        if newer {
            return Ok(());
        }
        match source {
            GuardSource::Text => {
                self.responses.silence_current(self.agent_version);
                self.cancel_current();
            }
            GuardSource::Audio => {
                self.sequencer.interrupt_pending(true);
                self.interrupt_answer(true, now);
            }
        }
        if !self.profile.messages {
            self.tell_for_one_answer(feedback);
            self.request_response_auto(now);
            return Ok(());
        }
        self.send_message(feedback, true, now)
    }

    pub(super) fn retrieve(&mut self, event: &Value) {
        if let Some(id) = text(event, "item_id")
            && self.profile.retrieves
        {
            self.outbox.message(ClientEvent::item_retrieve(id));
        }
    }
}

pub(super) fn text_of<'e>(event: &'e Map<String, Value>, key: &str) -> Option<&'e str> {
    event.get(key).and_then(Value::as_str)
}
