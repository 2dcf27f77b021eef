//! How far dispatch has come.

use std::sync::{Arc, Mutex, PoisonError};

use super::Message;
use crate::conversation::History;
use crate::delivery::DispatchCursor;

/// How far the reader has come with a session, and the history as of there.
#[derive(Debug, Default)]
pub struct DispatchProgress {
    pub cursor: Arc<DispatchCursor>,
    history: Mutex<History>,
}

impl DispatchProgress {
    /// The version of the history that was dispatched last.
    pub fn history(&self) -> History {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.clone()
    }

    /// A message is being dispatched. It is given back unless it is a version that nobody asked for.
    pub fn pass(&self, sequence: u64, message: Message) -> Option<Message> {
        self.cursor.advance(sequence);
        if let Some(version) = message.version() {
            *self.history.lock().unwrap_or_else(PoisonError::into_inner) = version.clone();
            if !self.cursor.wants_versions() {
                return None;
            }
        }
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Event;

    fn version() -> Message {
        let history = History::default();
        Message::Event(Event::HistoryUpdated { history })
    }

    #[test]
    fn versions_are_passed_on_to_those_who_want_them() {
        let progress = DispatchProgress::default();
        assert!(progress.pass(1, version()).is_none());
        progress.cursor.want_versions(true);
        assert!(progress.pass(2, version()).is_some());
        let other = Message::Event(Event::LocalEvent { token: 1 });
        progress.cursor.want_versions(false);
        assert!(progress.pass(3, other).is_some());
        assert_eq!(progress.cursor.last_sequence(), 3);
    }
}
