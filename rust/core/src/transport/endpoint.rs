//! The line between a driver, which knows the network, and the session that it carries.

use std::fmt;
use std::sync::Weak;

use tokio::sync::{Notify, watch};

/// One thing that the far side sent.
#[derive(Debug, Clone, Copy)]
pub enum Frame<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message. The realtime protocol has none; the conversation reports it as an error.
    Binary(&'a [u8]),
}

/// One thing to send, in the order of the session's outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A text message.
    Text(String),
    /// Say goodbye with this code and reason, then stop. Nothing follows it.
    Close {
        /// A WebSocket close code (RFC 6455, section 7.4).
        code: u16,
        /// At most 123 bytes of UTF-8.
        reason: String,
    },
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// We closed it.
    ClosedByUs,
    /// The far side closed it, with its code and reason where it gave any.
    ClosedByPeer {
        /// The close code; 1005 where none was given.
        code: u16,
        /// The reason, perhaps empty.
        reason: String,
    },
    /// It broke: reset, timed out, or spoke another protocol than agreed.
    Lost {
        /// What happened, in words that name the remedy where there is one.
        cause: String,
    },
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClosedByUs => f.write_str("closed by this side"),
            // No code was given.
            Self::ClosedByPeer { code: 1005, .. } => {
                f.write_str("the server closed the connection")
            }
            Self::ClosedByPeer { code, reason } if reason.is_empty() => {
                write!(f, "the server closed the connection with code {code}")
            }
            Self::ClosedByPeer { code, reason } => {
                write!(
                    f,
                    "the server closed the connection with code {code}: {reason}"
                )
            }
            Self::Lost { cause } => write!(f, "the connection was lost: {cause}"),
        }
    }
}

/// Writes for whoever has something to send, on the thread that has it.
pub trait Writer: Send + Sync {
    /// Takes what waits to be sent and writes it, as far as that goes without waiting. False where
    /// the driver's own task has to go on: something is left, or the task is at it.
    fn write_now(&self) -> bool;
}

/// What a driver carries. None of these calls blocks or runs users' code.
pub trait Endpoint: Send + Sync + 'static {
    /// Takes one frame, in the order of arrival.
    fn on_frame(&self, frame: Frame<'_>);

    /// Whether the driver should stop reading for now: the reader of the events runs on its thread.
    fn should_yield(&self) -> bool {
        false
    }

    /// Moves what waits to be sent into `batch`, oldest first, up to about `max_bytes` (at least one
    /// message where there is one). The driver asks again only when all of that is written.
    fn take_outgoing(&self, batch: &mut Vec<Outgoing>, max_bytes: usize);

    /// All that was taken before is in the kernel's hands.
    fn on_flushed(&self);

    /// The driver lends its writing, for as long as it lives. Whoever uses it saves the driver's task
    /// a turn, and what is sent the way through another thread.
    fn lend_writer(&self, writer: Weak<dyn Writer>) {
        drop(writer);
    }

    /// Is notified (one permit) whenever `take_outgoing` may have something new.
    fn outgoing_ready(&self) -> &Notify;

    /// While this holds `true`, the driver leaves what arrives on the wire unread (and goes on
    /// writing). Tests use it to hold the reader.
    fn reading_held(&self) -> watch::Receiver<bool>;

    /// The connection is over. Called exactly once, as the last call of a driver.
    fn on_ended(&self, ended: CloseReason);
}
