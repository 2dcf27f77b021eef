//! How a connection ends, in words, and the promise that its endpoint hears of it.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tracing::debug;

use crate::transport::endpoint::{Ended, Endpoint};

/// Tells the endpoint that the connection has ended, once, however the driver's task stops.
pub(super) struct EndGuard<E: Endpoint + ?Sized> {
    endpoint: Arc<E>,
    reported: bool,
}

impl<E: Endpoint + ?Sized> EndGuard<E> {
    pub fn new(endpoint: Arc<E>) -> Self {
        Self {
            endpoint,
            reported: false,
        }
    }

    pub fn endpoint(&self) -> &E {
        &self.endpoint
    }

    pub fn report(mut self, ended: Ended) {
        self.tell(ended);
    }

    fn tell(&mut self, ended: Ended) {
        self.reported = true;
        match &ended {
            // The reason is the peer's text, which is not for the log.
            Ended::ClosedByPeer { code, .. } => debug!(code, "closed by the peer"),
            other => debug!("{other}"),
        }
        self.endpoint.on_ended(ended);
    }
}

impl<E: Endpoint + ?Sized> Drop for EndGuard<E> {
    fn drop(&mut self) {
        if !self.reported {
            let cause = "the task that carried the connection was stopped".to_owned();
            // A panic here, in the middle of another, would end the process.
            let _ = catch_unwind(AssertUnwindSafe(|| self.tell(Ended::Lost { cause })));
        }
    }
}

/// What happened, for people.
pub(super) fn cause_of(error: &Error) -> String {
    match error {
        Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                format!("it was reset by the server or the network ({error})")
            }
            ErrorKind::UnexpectedEof => "the server ended it without a close frame".to_owned(),
            _ => error.to_string(),
        },
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | Error::ConnectionClosed
        | Error::AlreadyClosed => "the server ended it without a close frame".to_owned(),
        Error::Protocol(error) => format!("the server broke the WebSocket protocol: {error}"),
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => format!(
            "the server sent {size} bytes at once, more than the limit of {max_size}; raise \
             max_message_size and max_frame_size if that is wanted"
        ),
        Error::Utf8(_) => "the server sent a text message that is not UTF-8".to_owned(),
        other => other.to_string(),
    }
}

/// The code to say goodbye with after such an error (RFC 6455, section 7.4.1); `None` where the
/// connection is gone already.
pub(super) fn goodbye_for(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        Error::Capacity(_) => Some(CloseCode::Size),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        _ => None,
    }
}
