//! The one order: every event and every client message gets its number here.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::client_event::ClientEvent;
use super::event::{Event, Interest};
use super::item::ItemId;

/// Something that leaves the conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// For the session.
    Event(Event),
    /// A message for the server.
    Message(ClientEvent),
    /// For the caller's end of a call, where there is one.
    Caller(CallerCommand),
    /// Close the connection, with this WebSocket close code and reason.
    Close { code: u16, reason: String },
}

/// What the caller's end of a call is to do, or has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerCommand {
    /// Drop the sound that was not heard.
    Clear,
    /// Stop playback where it is, or go on.
    Pause(bool),
    /// The caller has begun to speak, as the server says, or has stopped.
    Speech(bool),
    /// The session is in charge; false: it was lost, and no other connection takes its place.
    Attended(bool),
}

/// An output with its sequence number.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequenced {
    pub sequence: u64,
    pub output: Output,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: VecDeque<Sequenced>,
    sequence: u64,
    interest: Interest,
    /// Messages that wait for a connection, while there is none.
    held: Option<Held>,
    /// Whether creations of items are remembered until the server confirms them.
    remembers: bool,
    unconfirmed: VecDeque<(ItemId, ClientEvent)>,
}

/// How many creations are remembered. The server confirms each within a moment.
const MAX_UNCONFIRMED: usize = 64;

#[derive(Debug, Default)]
struct Held {
    messages: Vec<ClientEvent>,
    bytes: usize,
}

impl Outbox {
    pub(super) fn set_interest(&mut self, interest: Interest) {
        self.interest = interest;
    }

    pub(super) fn wants(&self, interest: Interest) -> bool {
        self.interest.contains(interest)
    }

    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    fn push(&mut self, output: Output) {
        self.sequence += 1;
        self.queue.push_back(Sequenced {
            sequence: self.sequence,
            output,
        });
    }

    pub(super) fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }

    pub(super) fn message(&mut self, message: impl Into<ClientEvent>) {
        let message = message.into();
        if let Some(held) = &mut self.held {
            held.bytes += message.text.len();
            held.messages.push(message);
            return;
        }
        if self.remembers
            && let Some(item_id) = &message.creates
        {
            self.unconfirmed
                .push_back((Arc::clone(item_id), message.clone()));
            if self.unconfirmed.len() > MAX_UNCONFIRMED {
                self.unconfirmed.pop_front();
            }
        }
        let shown = self.wants(Interest::OUTGOING).then(|| message.text.clone());
        self.push(Output::Message(message));
        if let Some(text) = shown {
            // It has the message's sequence number.
            let event = Output::Event(Event::OutgoingMessage { text });
            self.queue.push_back(Sequenced {
                sequence: self.sequence,
                output: event,
            });
        }
    }

    pub(super) fn caller(&mut self, command: CallerCommand) {
        self.push(Output::Caller(command));
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        self.push(Output::Close {
            code,
            reason: reason.to_owned(),
        });
    }

    /// Remembers creations of items, for another connection, until the server confirms them.
    pub(super) fn remember_creations(&mut self) {
        self.remembers = true;
    }

    /// The server has created that item.
    pub(super) fn confirmed(&mut self, item_id: &str) {
        if !self.unconfirmed.is_empty() {
            self.unconfirmed.retain(|(id, _)| **id != *item_id);
        }
    }

    /// The server refused the event of that id.
    pub(super) fn refused(&mut self, event_id: &str) {
        let quoted = Value::from(event_id).to_string();
        let named = format!("\"event_id\":{quoted}");
        self.unconfirmed
            .retain(|(_, event)| !event.text.contains(&named));
    }

    /// Whether the server has confirmed all creations.
    pub(super) fn is_confirmed(&self) -> bool {
        self.unconfirmed.is_empty()
    }

    /// What the server has not confirmed, which is forgotten.
    pub(super) fn take_unconfirmed(&mut self) -> Vec<ClientEvent> {
        let unconfirmed = std::mem::take(&mut self.unconfirmed);
        unconfirmed.into_iter().map(|(_, event)| event).collect()
    }

    /// Holds messages back from now on.
    pub(super) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Bytes of messages that are held back.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.bytes)
    }

    /// Holds messages back no longer. Returns those that were.
    pub(super) fn release(&mut self) -> Vec<ClientEvent> {
        self.held.take().unwrap_or_default().messages
    }

    pub(super) fn pop(&mut self) -> Option<Sequenced> {
        self.queue.pop_front()
    }
}
