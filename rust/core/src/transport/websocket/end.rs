//! How a WebSocket ended: the cause as text, and the code for our close frame.

use std::io::ErrorKind;

use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The cause as a text for people.
pub(super) fn cause_of(error: &Error) -> String {
    match error {
        Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => {
                format!("it was reset by the server or the network ({error})")
            }
            ErrorKind::TimedOut => format!(
                "what was sent was not acknowledged in time (unacknowledged_timeout): the server or \
                 the network is down, or the server does not read ({error})"
            ),
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

/// The code of the close frame to send after such an error (RFC 6455, section 7.4.1); `None` if the
/// connection is already gone.
pub(super) fn close_code_for(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some(CloseCode::Protocol),
        Error::Capacity(_) => Some(CloseCode::Size),
        Error::Utf8(_) => Some(CloseCode::Invalid),
        _ => None,
    }
}
