//! The interface between a driver, which knows the network, and whoever uses its connection.

use std::fmt;
use std::sync::Weak;

use tokio::sync::{Notify, watch};

/// A message that the far side sent.
#[derive(Debug, Clone, Copy)]
pub enum Frame<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message. The realtime protocol has none.
    Binary(&'a [u8]),
}

/// What to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A text message.
    Text(String),
    /// Close the connection with this code and reason. Nothing follows it.
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
        /// A text for people, which names the remedy where there is one.
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

/// Lets the thread that has something to send write it.
pub trait Writer: Send + Sync {
    /// Takes what waits to be sent and writes as much of it as the socket takes now. Returns false where
    /// the driver's task has to be woken: something is left, or the task is writing.
    fn write_now(&self) -> bool;
}

/// The user of a connection, as its driver sees it. No method may block or run users' code.
pub trait Endpoint: Send + Sync + 'static {
    /// Takes one frame, in the order of arrival.
    fn on_frame(&self, frame: Frame<'_>);

    /// Moves messages that wait to be sent into `batch`, oldest first, up to about `max_bytes` (at least
    /// one message where there is one). The driver asks again only when all of them are written.
    fn take_outgoing(&self, batch: &mut Vec<Outgoing>, max_bytes: usize);

    /// A text that `take_outgoing` gave has been written: its buffer may be used again.
    fn recycle(&self, text: String) {
        drop(text);
    }

    /// The kernel has all messages that were taken before.
    fn on_flushed(&self);

    /// The driver offers its writer, for as long as it lives. A thread that writes with it saves a
    /// wake-up of the driver's task, and the message the way through another thread.
    fn lend_writer(&self, writer: Weak<dyn Writer>) {
        drop(writer);
    }

    /// Is notified (one permit) whenever `take_outgoing` may have something new.
    fn outgoing_ready(&self) -> &Notify;

    /// Whether the driver should stop reading for now. Asked before each read; the driver goes on at
    /// its next turn.
    fn should_yield(&self) -> bool {
        false
    }

    /// While this holds `true`, the driver reads nothing from the wire (and goes on writing). Tests hold
    /// the reader with it.
    fn reading_held(&self) -> watch::Receiver<bool>;

    /// The connection is over. Called exactly once, as the last call of a driver.
    fn on_ended(&self, ended: CloseReason);
}
