//! The session's way out: whoever uses a session implements it.

use crate::conversation::{ConnectionEnd, Event};
use crate::transport::net::ConnectError;

/// Takes the events of a session. Methods may be called under the session's lock: none may block or
/// run users' code.
pub trait EventSink: Send + Sync + 'static {
    fn push(&self, sequence: u64, event: Event);

    /// All events of one transaction have been pushed.
    fn pushed(&self);

    /// The connection that [`Session::dial`](super::Session::dial) began stands. Its first events have
    /// been pushed before.
    fn opened(&self, connection_id: u64) {
        let _ = connection_id;
    }

    /// The connection that [`Session::dial`](super::Session::dial) began does not stand: it failed, or,
    /// without an error, the session was closed meanwhile.
    fn not_opened(&self, connection_id: u64, error: Option<ConnectError>) {
        let _ = (connection_id, error);
    }

    /// The session layer is to decide on another connection, and to say where to. `end`: of the last
    /// connection, or of the attempt after it.
    fn redial(&self, attempt: u32, end: ConnectionEnd) {
        let _ = (attempt, end);
    }

    /// The bytes that wait to be sent have fallen below the high-water mark: senders may go on.
    fn drained(&self);

    /// Whether, since the last call, more was pushed than may wait, and none of it may be dropped. The
    /// session then ends the connection, so that memory stays bounded however long nobody reads.
    fn take_overflow(&self) -> bool {
        false
    }

    /// Whether a driver on this thread should stop reading for now, so that the events that it has
    /// pushed are read first. Asked before each read.
    fn should_yield(&self) -> bool {
        false
    }

    /// An empty buffer for audio; a used one, where there is one, keeps its capacity.
    fn spare_buffer(&self) -> Vec<u8> {
        Vec::new()
    }

    /// Takes such a buffer back, whose audio nobody wants.
    fn release_buffer(&self, buffer: Vec<u8>) {
        drop(buffer);
    }

    /// A connection that no driver of ours runs ([`ConnectionSettings::announced`]) has something to
    /// send.
    ///
    /// [`ConnectionSettings::announced`]: super::ConnectionSettings::announced
    fn outgoing_ready(&self);
}
