//! From the core to the hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stapes_core::conversation::Event;
use stapes_core::session::EventSink;
use stapes_core::transport::bells;
use stapes_core::transport::net::ConnectError;

use crate::hub::Shared;
use crate::queue::Word;

/// Puts the events of a session into the hub.
#[derive(Debug)]
pub struct Sink {
    hub: Arc<Shared>,
    id: u64,
    overflown: AtomicBool,
}

impl Sink {
    pub fn new(hub: Arc<Shared>, id: u64) -> Self {
        Self {
            hub,
            id,
            overflown: AtomicBool::new(false),
        }
    }

    /// No more events of the session reach the hub.
    pub fn unregister(&self) {
        self.hub.unregister(self.id);
    }

    pub fn push_word(&self, sequence: u64, word: Word) {
        self.hub.push(self.id, sequence, word);
        self.hub.wake();
    }
}

impl EventSink for Sink {
    fn push(&self, sequence: u64, event: Event) {
        if !self.hub.push(self.id, sequence, Word::Event(event)) {
            self.overflown.store(true, Ordering::Release);
        }
    }

    fn pushed(&self) {
        self.hub.wake();
    }

    fn opened(&self, connection_id: u64) {
        self.push_word(0, Word::Opened { connection_id });
    }

    fn not_opened(&self, connection_id: u64, error: Option<ConnectError>) {
        let word = match error.map(Box::new) {
            Some(error) => Word::NotOpened {
                connection_id,
                error,
            },
            None => Word::Abandoned { connection_id },
        };
        self.push_word(0, word);
    }

    fn drained(&self) {
        self.push_word(0, Word::Drained);
    }

    fn take_overflow(&self) -> bool {
        self.overflown.swap(false, Ordering::AcqRel)
    }

    fn should_yield(&self) -> bool {
        bells::is_to_listen()
    }

    fn outgoing_ready(&self) {
        self.push_word(0, Word::OutgoingReady);
    }

    fn spare_buffer(&self) -> Vec<u8> {
        self.hub.spare_buffer()
    }
}
