//! The user's sound that comes while a connection is being made: it waits until that stands.

use std::collections::VecDeque;
use std::time::Duration;

use super::client_event::ClientEvent;

/// The most that waits, in bytes of messages: 16 s of PCM at 24 kHz. Past it the oldest is dropped.
const MOST: usize = 1024 * 1024;

/// What the user's sound consists of.
#[derive(Debug)]
pub(super) enum Early {
    Append(ClientEvent),
    /// The user's turn ends, as of this time.
    Commit(Duration),
}

#[derive(Debug, Default)]
pub(super) struct EarlyAudio {
    waiting: VecDeque<Early>,
    bytes: usize,
    dropped: u64,
}

impl EarlyAudio {
    pub fn append(&mut self, append: ClientEvent) {
        self.bytes += append.len();
        self.waiting.push_back(Early::Append(append));
        while self.bytes > MOST {
            match self.waiting.pop_front() {
                Some(Early::Append(oldest)) => {
                    self.bytes -= oldest.len();
                    self.dropped += 1;
                }
                Some(Early::Commit(_)) => {}
                None => break,
            }
        }
    }

    /// Ends the user's turn, where anything was said in it.
    pub fn commit(&mut self, now: Duration) {
        if matches!(self.waiting.back(), Some(Early::Append(_))) {
            self.waiting.push_back(Early::Commit(now));
        }
    }

    /// All that waits, and how many messages were dropped.
    pub fn take(&mut self) -> (VecDeque<Early>, u64) {
        let Self {
            waiting, dropped, ..
        } = std::mem::take(self);
        (waiting, dropped)
    }
}
