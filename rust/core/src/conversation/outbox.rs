//! The one order: every event and every client message gets its number here.

use std::collections::VecDeque;

use super::client_event::ClientEvent;
use super::event::{Event, Interest};

/// Something that leaves the conversation.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// For the session.
    Event(Event),
    /// A message for the server.
    Message(ClientEvent),
    /// Close the connection, with this WebSocket close code and reason.
    Close { code: u16, reason: String },
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

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        self.push(Output::Close {
            code,
            reason: reason.to_owned(),
        });
    }

    pub(super) fn pop(&mut self) -> Option<Sequenced> {
        self.queue.pop_front()
    }
}
