//! How far dispatch has come.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far the reader of a session has come, and whether it looks at every version of the state.
#[derive(Debug, Default)]
pub struct DispatchCursor {
    last_sequence: AtomicU64,
    wants_versions: AtomicBool,
}

impl DispatchCursor {
    /// The sequence number of the message that was dispatched last.
    pub fn last_sequence(&self) -> u64 {
        self.last_sequence.load(Ordering::Acquire)
    }

    /// A message is being dispatched. Those that have no place in the order have number 0.
    pub fn advance(&self, sequence: u64) {
        if sequence != 0 {
            self.last_sequence.store(sequence, Ordering::Release);
        }
    }

    /// Whether somebody listens to versions: they are kept while there is room for them.
    pub fn wants_versions(&self) -> bool {
        self.wants_versions.load(Ordering::Acquire)
    }

    pub fn want_versions(&self, wanted: bool) {
        self.wants_versions.store(wanted, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_outside_of_the_order_do_not_move_it() {
        let cursor = DispatchCursor::default();
        cursor.advance(7);
        cursor.advance(0);
        assert_eq!(cursor.last_sequence(), 7);
    }
}
