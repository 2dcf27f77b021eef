//! The caller's end of a call, as the session that is coupled with it sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Session;
use crate::audio::AudioFormat;
use crate::audio::passthrough::PacketLimits;
use crate::conversation::{CallerCommand, Interest};
use crate::transport::DecodeMode;

/// Plays what the session says, and tells how much of it is still to be heard. All but
/// [`flush`](Self::flush) is called under the session's lock: nothing may block or call the session.
/// Times are of the session's clock.
pub trait CallerEnd: fmt::Debug + Send + Sync + 'static {
    /// Adds sound to the end of what is to be played.
    fn play(&self, sound: &[u8], format: AudioFormat, now: Duration);

    fn command(&self, command: CallerCommand, now: Duration);

    /// Which packets of Opus it plays as they are ([`CallerCommand::Play`]); `None`: it plays samples.
    fn packet_limits(&self) -> Option<PacketLimits> {
        None
    }

    /// How much of what was given is still to be heard, in milliseconds.
    fn left_to_play_ms(&self, now: Duration) -> f64;

    /// Whether the call has ended: nobody hears what is said from now on.
    fn is_over(&self) -> bool;

    /// Sends what waits. Called after the session's lock is released, and before its own messages are
    /// sent.
    fn flush(&self);

    /// A virtual clock was advanced, which drives what real time drives otherwise.
    fn clock_advanced(&self);
}

impl Session {
    /// Couples the session with the caller's end of a call, which plays what it says from now on. A
    /// session is coupled once: false where it was before.
    pub fn couple(&self, caller: Arc<dyn CallerEnd>) -> bool {
        let is_new = self.caller.set(caller).is_ok();
        if is_new {
            self.set_interest(self.wanted());
        }
        is_new
    }

    /// What the driver of a media track makes of the answer's sound. Packets go to the caller as they are where
    /// the caller's end takes them, and nobody else listens.
    pub(super) fn decode_mode(&self) -> DecodeMode {
        if self.wanted().contains(Interest::AUDIO) {
            return DecodeMode::Samples;
        }
        match self.caller.get() {
            None => DecodeMode::Length,
            Some(caller) => caller
                .packet_limits()
                .map_or(DecodeMode::Samples, DecodeMode::Packets),
        }
    }

    /// Sound that belongs to no answer is played now: `play` gives it to the caller's end, and tells how
    /// many milliseconds of it there are.
    pub fn play_aside(&self, play: impl FnOnce(Duration) -> f64) {
        self.act(|conversation, now| {
            let length_ms = play(now);
            conversation.caller_hears(length_ms, now);
        });
    }

    /// The caller's end has played something to its end.
    pub fn caller_progressed(&self) {
        // Each act begins with asking the caller's end.
        self.act(|_, _| ());
    }
}
