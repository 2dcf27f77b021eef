//! What a connection is to its session: in charge, its replacement, or a second one that is to take over.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use super::{Connection, Session};
use crate::conversation::ServerEvent;

/// What a connection is to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Role {
    InCharge,
    /// The conversation is handed over to it when the server has begun.
    Replacement,
    /// It is told the conversation, and takes over at a quiet moment.
    Second,
    /// Another one has taken over.
    Replaced,
}

impl Connection {
    pub(super) fn set_role(&self, role: Role) {
        self.role.store(role as u8, Ordering::Release);
    }

    pub(super) fn has_role(&self, role: Role) -> bool {
        self.role.load(Ordering::Acquire) == role as u8
    }

    /// Whether the sound of both sides goes over it.
    pub(super) fn carries_sound(&self) -> bool {
        let sound = self.sound.as_ref();
        self.has_role(Role::InCharge)
            && sound.is_some_and(|it| !it.is_stopped.load(Ordering::Acquire))
    }

    /// Its driver takes no more of the user's sound: it is being closed, and another one may follow; or
    /// the one before is still to give back what it has not sent.
    pub(super) fn stop_sound(&self) {
        if let Some(sound) = &self.sound {
            sound.is_stopped.store(true, Ordering::Release);
        }
    }

    /// Its driver takes the user's sound.
    pub(super) fn start_sound(&self) {
        if let Some(sound) = &self.sound {
            sound.is_stopped.store(false, Ordering::Release);
            self.wake_driver();
        }
    }

    /// Takes the server's time, as its answer to the handshake states it.
    pub(super) fn note_server_date(&self, date: SystemTime) {
        let _ = self.server_date.set((date, Instant::now()));
    }

    /// The server takes no longer message than this, in bytes.
    #[cfg(feature = "webrtc")]
    pub(super) fn limit_messages(&self, bytes: usize) {
        self.queue().limit_messages(bytes);
    }

    /// The server's time now, in seconds of the Unix epoch, if it has told it.
    pub(super) fn server_time(&self) -> Option<f64> {
        let (date, at) = self.server_date.get()?;
        let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some((since + at.elapsed()).as_secs_f64())
    }

    /// A frame came over a connection that is not in charge yet.
    pub(super) fn on_second_frame(
        &self,
        session: &Arc<Session>,
        event: &ServerEvent<'_>,
        begins: bool,
    ) {
        self.counters.frame_read();
        if let Some(expires_at) = event.expires_at() {
            session.note_expiry(self, expires_at);
        }
        if begins && self.settle() {
            self.handshake().take();
            session.replay_to_second(self);
        } else {
            session.second_confirmed(self.connection_id(), &event.confirmed());
        }
    }
}
