//! What was heard to its end: `PlaybackEnded` events, and whoever waits for the end of playback.

use std::sync::Arc;
use std::time::Duration;

use super::Conversation;
use super::event::{Event, Interest};
use super::response::Response;

/// Somebody who waits until nothing is left to play.
#[derive(Debug)]
pub(super) struct PlayedWaiter {
    token: u64,
    /// Whether everything so far was heard to its end.
    heard: bool,
}

impl Conversation {
    /// Emits [`Event::Played`] with this token as soon as nothing plays, and no answer is in progress
    /// or was asked for: at once if that is so already.
    pub fn when_played(&mut self, token: u64, now: Duration) {
        self.advance_playback(now);
        self.played_waiters
            .push(PlayedWaiter { token, heard: true });
        self.settle_played();
    }

    /// Forgets whoever waits with this token.
    pub fn forget_played(&mut self, token: u64) {
        self.played_waiters.retain(|waiter| waiter.token != token);
    }

    /// When playback has to be looked at, if somebody wants to know its end.
    pub(super) fn playback_deadline(&self) -> Option<Duration> {
        let is_wanted = self.outbox.wants(Interest::PLAYBACK) || !self.played_waiters.is_empty();
        is_wanted.then(|| self.playback.next_end()).flatten()
    }

    pub(super) fn advance_playback(&mut self, now: Duration) {
        self.playback.advance(now);
        self.count_heard();
    }

    /// Counts the parts that were heard to their end.
    pub(super) fn count_heard(&mut self) {
        if !self.playback.has_heard() {
            return;
        }
        let parts = self.playback.take_heard();
        for part in &parts {
            if let Some(response) = self.responses.get_mut(&part.response_id) {
                response.heard(&part.item_id, part.content_index, part.length_ms);
            }
        }
        for part in &parts {
            let response = self.responses.get(&part.response_id);
            if response.is_some_and(|response| response.done) {
                self.end_playback_of(&part.response_id);
            }
        }
    }

    /// A response that has ended was heard to its end, if none of its parts is left.
    pub(super) fn end_playback_of(&mut self, response_id: &Arc<str>) {
        if self.playback.holds(response_id) {
            return;
        }
        self.responses.forget_transcripts(response_id, |_| false);
        let heard = self
            .responses
            .get(response_id)
            .is_some_and(Response::had_audio);
        if heard {
            self.playback_ended(response_id, false);
        }
    }

    pub(super) fn playback_ended(&mut self, response_id: &Arc<str>, interrupted: bool) {
        let Some(response) = self.responses.get_mut(response_id) else {
            return;
        };
        if std::mem::replace(&mut response.playback_over, true) {
            return;
        }
        let played_ms = response.heard_ms.round() as u64;
        if interrupted {
            for waiter in &mut self.played_waiters {
                waiter.heard = false;
            }
        }
        if !self.outbox.wants(Interest::PLAYBACK) {
            return;
        }
        self.outbox.event(Event::PlaybackEnded {
            response_id: Arc::clone(response_id),
            played_ms,
            interrupted,
        });
    }

    /// Tells those who wait for the end of playback, if it is there.
    pub(super) fn settle_played(&mut self) {
        if self.played_waiters.is_empty()
            || !self.playback.is_empty()
            || !self.sequencer.is_idle()
            || self.responses.current().is_some()
            || self.responses.is_busy()
        {
            return;
        }
        self.tell_played();
    }

    /// The connection is over: nothing that was asked for will come.
    pub(super) fn give_up_played(&mut self) {
        for waiter in &mut self.played_waiters {
            waiter.heard = false;
        }
        self.tell_played();
    }

    fn tell_played(&mut self) {
        for PlayedWaiter { token, heard } in std::mem::take(&mut self.played_waiters) {
            self.outbox.event(Event::Played { token, heard });
        }
    }
}
