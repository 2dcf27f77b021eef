//! The one order: every event and every client message gets its number here.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::client_event::ClientEvent;
use super::dialect::Dialect;
use super::event::{Event, Interest};
use super::item::ItemId;
use crate::audio::passthrough::Passed;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerCommand {
    /// Play a piece of Opus after all that was given before. [`Event::Audio`] has sound that was decoded.
    Play(Passed),
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
    /// Of a provider that wants other shapes than those of the GA protocol, or takes no messages.
    writer: Option<Box<Writer>>,
    /// What the server calls items that have another id here.
    renamed: HashMap<ItemId, String>,
}

/// Writes client events as the provider wants them.
#[derive(Debug)]
struct Writer {
    dialect: Dialect,
    /// The conversation so far, which the model is told at the end of its instructions.
    told: Option<Arc<str>>,
    /// What it is told after that, for one answer.
    feedback: Option<Arc<str>>,
}

impl Writer {
    fn new(dialect: Dialect) -> Self {
        let (told, feedback) = (None, None);
        Self {
            dialect,
            told,
            feedback,
        }
    }

    /// What the instructions end with.
    fn ending(&self) -> Option<Arc<str>> {
        match (&self.told, &self.feedback) {
            (Some(told), Some(feedback)) => Some(format!("{told}\n\n{feedback}").into()),
            (told, feedback) => told.clone().or_else(|| feedback.clone()),
        }
    }
}

/// The fields of an event that name an item.
pub(super) const NAMING: [&str; 2] = ["item_id", "previous_item_id"];

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

    /// Has client events written in that dialect.
    pub(super) fn write_in(&mut self, dialect: &Dialect) {
        self.writer = (!dialect.is_ga()).then(|| Box::new(Writer::new(dialect.clone())));
    }

    /// Has each `session.update` from now on tell the conversation so far at the end of its instructions.
    /// Returns what it told before.
    pub(super) fn tell(&mut self, told: Option<Arc<str>>) -> Option<Arc<str>> {
        if self.writer.is_none() && told.is_none() {
            return None;
        }
        std::mem::replace(&mut self.writer().told, told)
    }

    /// Has each `session.update` from now on tell this after the conversation so far.
    pub(super) fn tell_feedback(&mut self, feedback: Option<Arc<str>>) {
        if self.writer.is_some() || feedback.is_some() {
            self.writer().feedback = feedback;
        }
    }

    fn writer(&mut self) -> &mut Writer {
        self.writer
            .get_or_insert_with(|| Box::new(Writer::new(Dialect::default())))
    }

    /// What each `session.update` ends its instructions with.
    pub(super) fn ending(&self) -> Option<Arc<str>> {
        self.writer.as_ref()?.ending()
    }

    /// Has messages name an item as the server does.
    pub(super) fn rename(&mut self, item_id: ItemId, theirs: &str) {
        self.renamed.insert(item_id, theirs.to_owned());
    }

    /// The server's names are those of this side again.
    pub(super) fn forget_names(&mut self) {
        self.renamed = HashMap::new();
    }

    fn name_theirs(&self, event: &mut Map<String, Value>) {
        for key in NAMING {
            if let Some(id) = event.get_mut(key)
                && let Some(theirs) = id.as_str().and_then(|id| self.renamed.get(id))
            {
                *id = theirs.as_str().into();
            }
        }
    }

    /// A message in the provider's shape.
    pub(super) fn written(&self, mut message: ClientEvent) -> ClientEvent {
        let writer = self.writer.as_ref();
        if message.as_it_is || (writer.is_none() && self.renamed.is_empty()) {
            return message;
        }
        if let Ok(mut event) = serde_json::from_str(&message.text) {
            if let Some(writer) = writer {
                writer
                    .dialect
                    .rewrite(&mut event, writer.ending().as_deref());
            }
            self.name_theirs(&mut event);
            message.text = Value::Object(event).to_string();
        }
        message.as_it_is = true;
        message
    }

    /// The settings of a response in the provider's shape.
    pub(super) fn write(&self, event: &mut Map<String, Value>) {
        if let Some(writer) = &self.writer {
            writer.dialect.rewrite(event, None);
        }
    }

    /// A `session.update` that the user wrote in the provider's shape, in that of the GA protocol.
    pub(super) fn read_update(&self, update: &mut Value) {
        if let Some(writer) = &self.writer {
            writer.dialect.read_update(update);
        }
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
            held.bytes += message.len();
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
        let message = self.written(message);
        let shown = self.wants(Interest::OUTGOING).then(|| message.shown());
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
