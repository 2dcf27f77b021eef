//! The path of a call, when this machine's address or that of the far side changes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::debug;

use super::{Phase, State};
use crate::transport::webrtc::peer::{PeerEvent, PeerState};
use crate::transport::webrtc::stack::nomination::Nomination;

impl State {
    /// Takes note of what a datagram says about where the two sides are. Returns the source that the stack is
    /// to see.
    pub(super) fn notice_moves(&mut self, datagram: &[u8], source: SocketAddr) -> SocketAddr {
        let nomination = self.nomination.as_ref();
        if nomination.is_some_and(|it| it.is_answered_by(datagram)) {
            debug!(%source, "the far side follows to the new address");
            self.nomination = None;
        }
        let (Some((_, known)), Some(following)) = (self.path, &mut self.following) else {
            return source;
        };
        let (seen, has_moved) = following.receive(datagram, source, known);
        if has_moved {
            debug!(%source, "the far side goes on from another address");
        }
        seen
    }

    /// The path of the call, which stands.
    pub fn path(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.path.filter(|_| self.is_connected())
    }

    /// The path of a call from whose far side nothing has been heard for this long.
    pub fn silent_path(&self, now: Instant, silence: Duration) -> Option<(SocketAddr, SocketAddr)> {
        let is_silent = now >= self.last_received + silence && self.nomination.is_none();
        self.path().filter(|_| is_silent)
    }

    /// Tells the far side that our end of the path is elsewhere.
    pub fn move_path(
        &mut self,
        local: SocketAddr,
        now: Instant,
        send: impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        let credentials = self.credentials.clone();
        let is_current = self.path().is_some_and(|(from, _)| from == local);
        self.nomination = credentials
            .filter(|_| is_current)
            .and_then(|it| Nomination::begin(it, now));
        self.tick(now, send);
    }

    /// The address of the path is gone for good.
    pub fn lose_address(&mut self) {
        self.end(Phase::Failed);
        self.events.push_back(PeerEvent::AddressLost);
    }

    /// The relay that the path went through is gone.
    pub fn lose_relay(&mut self, cause: String) {
        self.end(Phase::Failed);
        self.events.push_back(PeerEvent::RelayLost { cause });
    }

    pub(super) fn nominate(
        &mut self,
        now: Instant,
        send: &mut impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        let (Some(nomination), Some((local, remote))) = (&mut self.nomination, self.path) else {
            return;
        };
        if nomination.has_failed(now) {
            return self.lose_address();
        }
        if let Some(check) = nomination.check(now) {
            send(local, remote, &check);
        }
        self.deadline = self.deadline.min(nomination.due());
    }

    /// Sends again what may have been lost while the call is set up.
    pub(super) fn repeat(
        &mut self,
        now: Instant,
        send: &mut impl FnMut(SocketAddr, SocketAddr, &[u8]),
    ) {
        let due = self.repeating.as_mut().and_then(|it| it.repeat(now, send));
        self.deadline = due.map_or(self.deadline, |due| self.deadline.min(due));
    }

    pub(super) fn check_silence(&mut self, now: Instant) {
        if !self.is_connected() {
            return;
        }
        let silent_at = self.last_received + self.disconnected_after;
        let failed_at = silent_at + self.failed_after;
        if now >= failed_at {
            self.end(Phase::Failed);
            self.push_state(PeerState::Failed);
        } else if now >= silent_at {
            if self.phase != Phase::Silent {
                self.phase = Phase::Silent;
                self.push_state(PeerState::Disconnected);
            }
            self.deadline = self.deadline.min(failed_at);
        } else {
            self.deadline = self.deadline.min(silent_at);
        }
    }
}
