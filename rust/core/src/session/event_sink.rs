//! The session's way out: whoever uses a session implements it.

use crate::conversation::Event;

/// Takes the events of a session. Called under the session's lock: no method may block or run users'
/// code.
pub trait EventSink: Send + Sync + 'static {
    fn push(&self, sequence: u64, event: Event);

    /// All events of one transaction have been pushed.
    fn pushed(&self);

    /// The bytes that wait to be sent have fallen below the high-water mark: senders may go on.
    fn drained(&self);

    /// Whether, since the last call, more was pushed than may wait, and none of it may be dropped. The
    /// session then ends the connection, so that memory stays bounded however long nobody reads.
    fn take_overflow(&self) -> bool {
        false
    }

    /// An empty buffer for audio; a used one, where there is one, keeps its capacity.
    fn spare_buffer(&self) -> Vec<u8> {
        Vec::new()
    }

    /// A connection that no driver of ours runs ([`ConnectionSettings::announced`]) has something to
    /// send.
    ///
    /// [`ConnectionSettings::announced`]: super::ConnectionSettings::announced
    fn outgoing_ready(&self);
}
