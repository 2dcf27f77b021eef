//! The interface between a driver, which knows the network, and whoever uses its connection.

use std::fmt;
use std::sync::Weak;
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// How long a server that may speak only when spoken to is waited for: 2 s. All that speak first do so
/// within a round trip.
pub(super) const FIRST_EVENT_TIMEOUT: Duration = Duration::from_secs(2);

/// A message that the far side sent.
#[derive(Debug, Clone, Copy)]
pub enum Frame<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message. The realtime protocol has none; some carriers send sound so.
    Binary(&'a [u8]),
}

/// What to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outgoing {
    /// A text message.
    Text(String),
    /// A binary message, over a WebSocket.
    Binary(Vec<u8>),
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
    /// This side cannot say over it what it has to, and could not over another one.
    Unsayable {
        /// A text for people, which names the remedy.
        cause: String,
    },
}

impl CloseReason {
    /// Whether nothing was lost: this side closed the connection, or the far side did, as it was to.
    pub fn is_clean(&self) -> bool {
        match self {
            Self::ClosedByUs => true,
            Self::ClosedByPeer { code, .. } => matches!(code, 1000 | 1005),
            Self::Lost { .. } | Self::Unsayable { .. } => false,
        }
    }

    /// The code of the far side's close frame, if it had one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::ClosedByPeer { code, .. } if *code != 1005 => Some(*code),
            _ => None,
        }
    }

    /// Whether a new connection, made in the same way, may last longer. Codes of applications from
    /// 4400 on are read as the HTTP status that they are made from.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ClosedByUs | Self::Unsayable { .. } => false,
            Self::Lost { .. } => true,
            Self::ClosedByPeer { code, .. } => match code {
                // Going away, lost, failed inside, restarting, try later, a gateway's, timed out.
                1001 | 1006 | 1011..=1014 | 3008 => true,
                4400..=4599 => is_retryable_status(code - 4000),
                _ => false,
            },
        }
    }
}

/// Whether a request that was answered with this HTTP status may succeed later, unchanged.
pub(super) fn is_retryable_status(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599) && !matches!(status, 501 | 505)
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
            Self::Unsayable { cause } => write!(f, "the connection was given up: {cause}"),
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
