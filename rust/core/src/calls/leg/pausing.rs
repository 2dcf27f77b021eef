//! Why what the caller hears stands still, and what the caller says is not passed on.

use std::time::Duration;

use super::{Effects, Leg};
use crate::calls::carrier::LegCommand;
use crate::calls::event::CallEvent;

/// Why playback is paused.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pause {
    Application,
    /// The caller makes a sound, and may say something.
    Sound,
    /// Nothing comes over the line: what is sent would be lost.
    Silence,
}

impl Leg {
    /// Stops what the far side plays, or lets it go on. False where the carrier cannot, or the call is over.
    /// While there is no line, it is the next one that stands still.
    pub fn pause_output(&mut self, paused: bool, now: Duration) -> bool {
        if self.is_standing() {
            return self.pause_for(Pause::Application, paused, now);
        }
        let can = self.capabilities.pause && !self.is_over();
        if can {
            self.paused_for[Pause::Application as usize] = paused;
        }
        can
    }

    /// Another line takes over. What the application has paused stays so.
    pub(super) fn forget_pauses_of_line(&mut self) {
        self.paused_for[Pause::Sound as usize] = false;
        self.paused_for[Pause::Silence as usize] = false;
    }

    /// A line has started, which is to stand still if the application has said so before.
    pub(super) fn pause_new_line(&mut self, now: Duration) {
        if !self.capabilities.pause {
            self.paused_for = [false; 3];
        } else if self.is_paused() {
            self.playout.pause(now);
            self.write(LegCommand::Pause);
        }
    }

    /// Playback stands as long as there is a reason for it.
    pub(super) fn pause_for(&mut self, why: Pause, paused: bool, now: Duration) -> bool {
        if !self.capabilities.pause || !self.is_standing() {
            return false;
        }
        let was_paused = self.is_paused();
        self.paused_for[why as usize] = paused;
        if self.is_paused() && !was_paused {
            self.playout.pause(now);
            self.write(LegCommand::Pause);
        } else if was_paused && !self.is_paused() {
            self.playout.resume(now);
            self.write(LegCommand::Resume);
            self.pump(now);
        }
        true
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused_for.contains(&true)
    }

    /// Nothing has come over the line for a while, for this reason, though it is not known to be lost; or,
    /// without a reason, something has come again. What is played stands still until then.
    pub fn line_is_silent(&mut self, reason: Option<&str>, now: Duration, effects: &mut Effects) {
        if self.is_silenced() == reason.is_some()
            || !self.pause_for(Pause::Silence, reason.is_some(), now)
        {
            return;
        }
        effects.events.push(match reason {
            Some(reason) => CallEvent::CallInterrupted {
                reason: reason.to_owned(),
            },
            None => CallEvent::CallResumed {},
        });
        if reason.is_none() {
            // The line has delivered them itself.
            self.held.clear();
        }
    }

    /// Whether nothing comes over the line, though it is not known to be lost.
    pub(super) fn is_silenced(&self) -> bool {
        self.paused_for[Pause::Silence as usize]
    }

    /// Stops the caller's sound on its way in, or lets it go on.
    pub fn pause_input(&mut self, paused: bool) {
        self.intake.pause(paused);
    }

    pub fn is_input_paused(&self) -> bool {
        self.intake.is_paused()
    }
}
