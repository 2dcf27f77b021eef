//! The event sink of a session: the session pushes into it, and it pushes into the hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Message, MessageHub, Notice};
use crate::conversation::{ConnectionEnd, Event};
use crate::delivery::wakeup;
use crate::session::EventSink;
use crate::transport::net::ConnectError;

/// Pushes the events of a session into the hub.
#[derive(Debug)]
pub(super) struct HubSink {
    hub: Arc<MessageHub>,
    id: u64,
    overflown: AtomicBool,
}

impl HubSink {
    /// For the session that the hub knows by that number.
    pub fn new(hub: Arc<MessageHub>, id: u64) -> Self {
        Self {
            hub,
            id,
            overflown: AtomicBool::new(false),
        }
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// Pushes nothing more.
    pub fn unregister(&self) {
        self.hub.unregister(self.id);
    }

    /// Pushes what has no place in the session's order.
    pub fn notify(&self, notice: Notice) {
        self.hub.push(self.id, 0, Message::Notice(notice));
        self.hub.notify();
    }
}

impl EventSink for HubSink {
    fn push(&self, sequence: u64, event: Event) {
        if !self.hub.push(self.id, sequence, Message::Event(event)) {
            self.overflown.store(true, Ordering::Release);
        }
    }

    fn pushed(&self) {
        self.hub.notify();
    }

    fn opened(&self, connection_id: u64) {
        self.notify(Notice::Opened { connection_id });
    }

    fn not_opened(&self, connection_id: u64, error: Option<ConnectError>) {
        self.notify(Notice::NotOpened {
            connection_id,
            error: error.map(Box::new),
        });
    }

    fn redial(&self, attempt: u32, end: ConnectionEnd) {
        self.notify(Notice::Redial {
            attempt: u64::from(attempt),
            reason: end.reason,
            code: end.code.map(u64::from),
            is_retryable: end.is_retryable,
        });
    }

    fn drained(&self) {
        self.notify(Notice::AudioDrained {});
    }

    fn take_overflow(&self) -> bool {
        self.overflown.swap(false, Ordering::AcqRel)
    }

    fn should_yield(&self) -> bool {
        wakeup::should_yield()
    }

    fn outgoing_ready(&self) {
        self.notify(Notice::OutgoingReady {});
    }

    fn spare_buffer(&self) -> Vec<u8> {
        self.hub.acquire_audio()
    }

    fn release_buffer(&self, buffer: Vec<u8>) {
        self.hub.release_audio(buffer);
    }
}
