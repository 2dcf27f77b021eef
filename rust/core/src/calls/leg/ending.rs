//! How a call ends, and when all that was played has been heard.

use std::time::Duration;

use super::{CallEnd, Leg, Stage, Waiting};
use crate::calls::carrier::LegCommand;
use crate::calls::event::EndedBy;
use crate::transport::Outgoing;

/// How long a mark may take to confirm the end of playback, beyond the time at which it is expected.
const CONFIRM: Duration = Duration::from_secs(1);

/// As much of a reason as a close frame holds (RFC 6455, section 5.5).
fn close_reason(reason: &str) -> String {
    let mut length = reason.len().min(123);
    while !reason.is_char_boundary(length) {
        length -= 1;
    }
    reason[..length].to_owned()
}

impl Leg {
    /// Tells by [`Effects::played`](super::Effects::played) with this token when all that was played so
    /// far has been heard.
    pub fn when_played(&mut self, token: u64, now: Duration) {
        self.played_waiters.push(token);
        self.await_confirmation(now);
    }

    /// Asks for a mark at the end of what is played.
    pub(super) fn await_confirmation(&mut self, now: Duration) {
        if self.playout.is_confirmed(now) || !self.is_standing() {
            return;
        }
        if self.unsent.is_empty() {
            if let Some(id) = self.playout.end_mark(now) {
                self.write(LegCommand::Mark(id));
            }
            let left = Duration::from_secs_f64(self.playout.left_ms(now) / 1000.0);
            self.confirm_by = Some(now + left + CONFIRM);
        }
    }

    /// Whether all that was played has been heard, as far as that can be known.
    pub(super) fn is_played(&self, now: Duration) -> bool {
        let is_heard = self.unsent.is_empty() && self.playout.left_ms(now) <= 0.001;
        let is_late = self.confirm_by.is_some_and(|by| by <= now);
        is_heard && self.silence_due(now).is_none() && (is_late || self.playout.is_confirmed(now))
    }

    /// When a far side without marks will have played what it still holds, unless it has.
    pub(super) fn silence_due(&self, now: Duration) -> Option<Duration> {
        self.playout.silent_from().filter(|from| *from > now)
    }

    /// Whether somebody waits for the end of what is played.
    pub(super) fn awaits_end(&self) -> bool {
        self.hang_up_by.is_some() || !self.played_waiters.is_empty()
    }

    /// Ends the call from this side: at once, or when all was heard.
    pub fn hang_up(&mut self, after_playback: bool, now: Duration) {
        if self.is_over() {
            return;
        }
        if after_playback && self.is_standing() && !self.is_played(now) {
            self.hang_up_by = Some(now + self.options.hang_up_timeout);
            self.await_confirmation(now);
            return;
        }
        self.finish(EndedBy::Us, "hung up by this side", now);
    }

    /// The caller has hung up, by another way than the line.
    pub fn hung_up_by_caller(&mut self, reason: &str, now: Duration) {
        self.finish(EndedBy::Caller, reason, now);
    }

    /// Ends a call that is not taken.
    pub fn refuse(&mut self, close_code: u16, reason: &str, now: Duration) {
        self.waiting.clear();
        self.close_code = close_code;
        self.finish(EndedBy::Limit, reason, now);
    }

    /// Whether this side hangs up now.
    pub(super) fn is_hang_up_due(&self, now: Duration) -> bool {
        self.hang_up_by
            .is_some_and(|by| by <= now || self.is_played(now))
    }

    /// Ends the call, and closes the line where there is one.
    pub(super) fn finish(&mut self, by: EndedBy, reason: &str, now: Duration) {
        if self.is_over() {
            return;
        }
        self.waiting.retain(|waiting| !waiting.is_sound);
        let can_hang_up = self.is_standing() && self.capabilities.hang_up;
        // A page is told why it cannot be taken; a refusal is told by the close code, which the driver of a
        // line without such codes puts into words.
        let is_told = self.capabilities.messages && !self.is_lost() && self.close_code == 1000;
        let is_said = if self.capabilities.messages {
            is_told
        } else {
            can_hang_up
        };
        if is_said && by != EndedBy::Caller {
            self.write(LegCommand::HangUp(reason));
        }
        if !matches!(self.stage, Stage::Lost(_)) {
            let message = Outgoing::Close {
                code: self.close_code,
                reason: match self.close_code {
                    1000 => String::new(),
                    _ => close_reason(reason),
                },
            };
            self.waiting.push_back(Waiting {
                message,
                is_sound: false,
            });
        }
        self.drop_unheard(now);
        self.stage = Stage::Over(CallEnd {
            by,
            reason: reason.to_owned(),
        });
    }
    /// Closes a line that was to carry this call, which is over.
    pub(super) fn turn_away(&mut self) {
        let reason = self.end().map(|end| end.reason.clone());
        if self.carrier.capabilities().messages {
            self.write(LegCommand::HangUp(&reason.unwrap_or_default()));
        }
        self.waiting.push_back(Waiting {
            message: Outgoing::Close {
                code: 1000,
                reason: String::new(),
            },
            is_sound: false,
        });
    }
}
