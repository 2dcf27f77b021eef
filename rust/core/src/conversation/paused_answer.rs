//! An answer that is paused, not interrupted: the caller began to speak, and may say nothing.
//!
//! A cough starts the server's turn detection as a word does. Where the caller's end can stop playback and go on,
//! and `resume_after` is set, the answer waits. It is interrupted when there is something to hear: a
//! transcript, or a response of the server's own. It goes on where the caller was silent for that long.

use std::time::Duration;

use super::Conversation;
use super::outbox::CallerCommand;
use super::playback::PlaybackSource;

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PausedAnswer {
    /// The caller makes a sound.
    Speech,
    /// Words, until this time.
    Words(Duration),
}

impl Conversation {
    /// The caller has begun to speak.
    pub(super) fn caller_speaks(&mut self, now: Duration) {
        if self.paused.is_some() {
            self.paused = Some(PausedAnswer::Speech);
        } else if self.can_pause() {
            self.paused = Some(PausedAnswer::Speech);
            self.outbox.caller(CallerCommand::Pause(true));
        } else {
            self.interrupt_answer(!self.server_interrupts, now);
        }
    }

    fn can_pause(&self) -> bool {
        self.options.resume_after.is_some()
            && self.playback.source() == PlaybackSource::Caller
            && !self.playback.is_empty()
    }

    /// The caller is silent again.
    pub(super) fn caller_is_silent(&mut self, now: Duration) {
        if let (Some(_), Some(after)) = (self.paused, self.options.resume_after) {
            self.paused = Some(PausedAnswer::Words(now + after));
        }
    }

    /// The caller has said something: what was paused is interrupted.
    pub(super) fn caller_has_spoken(&mut self, now: Duration) {
        if self.paused.is_some() {
            self.interrupt_answer(!self.server_interrupts, now);
        }
    }

    /// Playback is stopped for another reason, which has the caller's end go on.
    pub(super) fn forget_pause(&mut self) {
        self.paused = None;
    }

    pub(super) fn pause_deadline(&self) -> Option<Duration> {
        match self.paused {
            Some(PausedAnswer::Words(until)) => Some(until),
            Some(PausedAnswer::Speech) | None => None,
        }
    }

    /// Goes on with what was paused, if its time has come.
    pub(super) fn resume_when_due(&mut self, now: Duration) {
        if self.pause_deadline().is_some_and(|until| until <= now) {
            tracing::debug!("the caller made a sound and said nothing: the answer goes on");
            self.resume_paused();
        }
    }

    /// Goes on with what was paused.
    pub(super) fn resume_paused(&mut self) {
        if self.paused.take().is_some() {
            self.outbox.caller(CallerCommand::Pause(false));
        }
    }
}
