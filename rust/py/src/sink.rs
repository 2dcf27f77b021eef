//! The event sink of a session: the core pushes into it, and it pushes into the hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stapes_core::conversation::Event;
use stapes_core::delivery::wakeup;
use stapes_core::session::EventSink;
use stapes_core::transport::net::ConnectError;

use crate::message::{Message, MessageHub};

/// Pushes the events of a session into the hub.
#[derive(Debug)]
pub struct Sink {
    hub: Arc<MessageHub>,
    id: u64,
    overflown: AtomicBool,
}

impl Sink {
    pub fn new(hub: Arc<MessageHub>, id: u64) -> Self {
        Self {
            hub,
            id,
            overflown: AtomicBool::new(false),
        }
    }

    /// Pushes nothing more.
    pub fn unregister(&self) {
        self.hub.unregister(self.id);
    }

    pub fn push_message(&self, sequence: u64, message: Message) {
        self.hub.push(self.id, sequence, message);
        self.hub.notify();
    }
}

impl EventSink for Sink {
    fn push(&self, sequence: u64, event: Event) {
        if !self.hub.push(self.id, sequence, Message::Event(event)) {
            self.overflown.store(true, Ordering::Release);
        }
    }

    fn pushed(&self) {
        self.hub.notify();
    }

    fn opened(&self, connection_id: u64) {
        self.push_message(0, Message::Opened { connection_id });
    }

    fn not_opened(&self, connection_id: u64, error: Option<ConnectError>) {
        let message = match error.map(Box::new) {
            Some(error) => Message::NotOpened {
                connection_id,
                error,
            },
            None => Message::Abandoned { connection_id },
        };
        self.push_message(0, message);
    }

    fn drained(&self) {
        self.push_message(0, Message::Drained);
    }

    fn take_overflow(&self) -> bool {
        self.overflown.swap(false, Ordering::AcqRel)
    }

    fn should_yield(&self) -> bool {
        wakeup::should_yield()
    }

    fn outgoing_ready(&self) {
        self.push_message(0, Message::OutgoingReady);
    }

    fn spare_buffer(&self) -> Vec<u8> {
        self.hub.acquire_audio()
    }
}
