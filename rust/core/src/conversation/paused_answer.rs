//! An answer that is paused, not interrupted: the caller began to speak, and may say nothing.
//!
//! A cough starts the server's turn detection as a word does. Where the caller's end can stop playback and go on,
//! and `resume_after` is set, the answer waits. It is interrupted when there is something to hear: a
//! transcript, or a response of the server's own. It goes on where the caller was silent for that long.

use std::time::Duration;

use super::Conversation;
use super::outbox::CallerCommand;
use super::playback::PlaybackSource;

/// Who makes a sound for so long is speaking.
const LONGEST_SOUND: Duration = Duration::from_secs(15);

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PausedAnswer {
    /// The caller makes a sound, until this time at most.
    Sound(Duration),
    /// Words, until this time.
    Words(Duration),
    /// Nothing: it goes on. The words may still come, for transcripts can be late.
    Resumed,
}

impl Conversation {
    /// The caller has begun to speak.
    pub(super) fn caller_speaks(&mut self, now: Duration) {
        let is_paused = matches!(
            self.paused,
            Some(PausedAnswer::Sound(_) | PausedAnswer::Words(_))
        );
        if !is_paused && !self.can_pause() {
            return self.interrupt_answer(!self.server_interrupts, now);
        }
        self.paused = Some(PausedAnswer::Sound(now + LONGEST_SOUND));
        if !is_paused {
            self.outbox.caller(CallerCommand::Pause(true));
        }
    }

    fn can_pause(&self) -> bool {
        self.options.resume_after.is_some()
            && self.playback.source() == PlaybackSource::Caller
            && !self.playback.is_empty()
    }

    /// The caller is silent again.
    pub(super) fn caller_is_silent(&mut self, now: Duration) {
        if let (Some(PausedAnswer::Sound(_)), Some(after)) =
            (self.paused, self.options.resume_after)
        {
            self.paused = Some(PausedAnswer::Words(now + after));
        }
    }

    /// The caller has said something: what was paused for it is interrupted.
    pub(super) fn caller_has_spoken(&mut self, now: Duration) {
        match self.paused {
            None => {}
            Some(PausedAnswer::Resumed) if self.playback.is_empty() => self.paused = None,
            Some(_) => self.interrupt_answer(!self.server_interrupts, now),
        }
    }

    /// The turn of the caller had no words.
    pub(super) fn caller_said_nothing(&mut self) {
        if self.paused == Some(PausedAnswer::Resumed) {
            self.paused = None;
        }
    }

    /// Playback is stopped for another reason, which has the caller's end go on.
    pub(super) fn forget_pause(&mut self) {
        self.paused = None;
    }

    pub(super) fn pause_deadline(&self) -> Option<Duration> {
        match self.paused? {
            PausedAnswer::Sound(until) | PausedAnswer::Words(until) => Some(until),
            PausedAnswer::Resumed => None,
        }
    }

    /// Goes on with what was paused, or interrupts it, if its time has come.
    pub(super) fn settle_pause(&mut self, now: Duration) {
        match self.paused {
            Some(PausedAnswer::Sound(until)) if until <= now => self.caller_has_spoken(now),
            Some(PausedAnswer::Words(until)) if until <= now => {
                tracing::debug!("the caller made a sound and said nothing: the answer goes on");
                self.resume_paused();
                self.paused = Some(PausedAnswer::Resumed);
            }
            _ => {}
        }
    }

    /// Goes on with what was paused.
    pub(super) fn resume_paused(&mut self) {
        if let Some(PausedAnswer::Sound(_) | PausedAnswer::Words(_)) = self.paused.take() {
            self.outbox.caller(CallerCommand::Pause(false));
        }
    }
}
