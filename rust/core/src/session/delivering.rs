//! What leaves a transaction: events for the sink, messages for the connection, sound for the caller's end.

use std::sync::Arc;

use super::outgoing_queue::Unqueued;
use super::{Connection, Session, State};
use crate::audio::AudioFormat;
use crate::conversation::{ConnectionEnd, CoreError, Event, Interest, Output, Sequenced};

impl Session {
    /// Delivers the events and messages of a transaction. Returns the connection with new messages, to
    /// be announced after the lock is released: it may write at once.
    #[must_use]
    pub(super) fn deliver(&self, state: &mut State) -> Option<Arc<Connection>> {
        let mut events = self.pass_on(state);
        if events && self.sink.take_overflow() {
            Self::end_unread(state);
            events |= self.pass_on(state);
        }
        if events {
            self.sink.pushed();
        }
        self.arm_timer(state);
        state.unsent.take()
    }

    fn end_unread(state: &mut State) {
        let connection_id = state.conversation.wire_id();
        if let Some(connection) = state.connection.take() {
            connection.abandon();
        }
        let why = "events were not read and the bound on those that wait was reached \
                   (max_queued_events)";
        state
            .conversation
            .ended(connection_id, ConnectionEnd::lost(why));
    }

    /// Ends the connection because nobody reads the session's events.
    pub fn give_up_unread(&self) {
        let mut state = self.lock();
        Self::end_unread(&mut state);
        let unsent = self.deliver(&mut state);
        drop(state);
        self.announce(unsent);
    }

    /// Passes events to the sink and messages to the connection. Returns whether there were events.
    fn pass_on(&self, state: &mut State) -> bool {
        let mut events = false;
        while let Some(Sequenced { sequence, output }) = state.conversation.poll_output() {
            match output {
                Output::Event(mut event) => {
                    events = true;
                    if !state.secrets.is_empty() {
                        event.edit_quotes(&|text| state.secrets.mask(text));
                    }
                    let output = state.connection.as_ref().and_then(|it| it.output.as_ref());
                    let is_converted = output.is_some();
                    let tail = output.and_then(|output| output.before(&event));
                    if let Some(tail) = tail.and_then(|it| self.play(state, it, is_converted)) {
                        self.sink.push(sequence, tail);
                    }
                    if let Some(event) = self.play(state, event, is_converted) {
                        self.sink.push(sequence, event);
                    }
                }
                Output::Caller(command) => {
                    if let Some(caller) = self.caller.get() {
                        caller.command(command, self.clock.now());
                    }
                }
                Output::Message(event) => {
                    let Some(connection) = &state.connection else {
                        continue;
                    };
                    match connection.send(event) {
                        Ok(()) => {
                            state.unsent.get_or_insert_with(|| Arc::clone(connection));
                        }
                        Err(Unqueued::TooLong(why)) => {
                            let error = CoreError::TooLong(why.to_string());
                            self.sink.push(sequence, Event::CoreError(error));
                            events = true;
                        }
                        Err(Unqueued::Stuck(bytes)) => {
                            let why = format!(
                                "the server does not read: {bytes} bytes wait to be sent to it \
                                 (max_outgoing_bytes is {})",
                                self.limits.max_bytes
                            );
                            let wire_id = state.conversation.wire_id();
                            connection.abandon();
                            state.connection = None;
                            self.lose(state, wire_id, ConnectionEnd::lost(why));
                        }
                    }
                }
                Output::Close { code, reason } => {
                    let reconnecting = state.reconnecting.as_mut();
                    if let Some(rollover) = reconnecting.and_then(|it| it.rollover.take()) {
                        rollover.give_up();
                    }
                    if let Some(connection) = state.connection.take() {
                        connection.close(code, reason);
                    }
                    state.forget_user_sound();
                }
            }
        }
        events
    }

    /// Plays the answer's sound at the caller's end, where there is one. Gives the event back for the
    /// sink, unless nobody else wants it.
    fn play(&self, state: &State, event: Event, is_converted: bool) -> Option<Event> {
        let Some(caller) = self.caller.get() else {
            return Some(event);
        };
        let Event::Audio {
            response_id, data, ..
        } = &event
        else {
            return Some(event);
        };
        let format = match state.output {
            Some((_, rate)) if is_converted => AudioFormat::Pcm { rate },
            _ => state.conversation.format_of(response_id),
        };
        caller.play(data, format, self.clock.now());
        if self.wanted().contains(Interest::AUDIO) {
            return Some(event);
        }
        if let Event::Audio { data, .. } = event {
            self.sink.release_buffer(data);
        }
        None
    }

    /// Sends what a transaction has queued, after the lock was released: for the caller first, who is not
    /// to hear what the server is told to cancel.
    pub(super) fn announce(&self, connection: Option<Arc<Connection>>) {
        if let Some(caller) = self.caller.get() {
            caller.flush();
        }
        if let Some(connection) = connection {
            connection.announce();
        }
    }
}
