//! What a call tells whoever answers it.

use std::fmt;
use std::time::Duration;

use crate::conversation::record::{Field, FieldValue, Record, RecordType, event_table, fields};

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The caller hung up, or the carrier ended the stream.
    Caller,
    /// This side hung up.
    Us,
    /// The line broke, and nobody came back.
    LineLost,
    /// A limit was reached, such as the longest time of a call.
    Limit,
}

impl EndedBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Us => "us",
            Self::LineLost => "line",
            Self::Limit => "limit",
        }
    }
}

/// A key that was pressed. It may be part of a card number: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Digit(pub String);

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"*\"")
    }
}

fields! {
    EndedBy, "str", |value| FieldValue::Text(value.as_str());
    Digit, "str", |value| FieldValue::Text(&value.0);
}

event_table! {
    /// An event of a call.
    #[derive(Debug, Clone, PartialEq)]
    pub enum CallEvent {
        /// A call has come in by that route: whoever runs the server takes it by this token.
        IncomingCall { token: u64, route: usize }
        /// A stream that somebody else carries has begun, or a lost one has come back.
        CallStarted {}
        /// The caller pressed a key.
        Dtmf { digit: Digit, duration: Option<Duration> }
        /// The application at the far end says something, as JSON.
        CallText { json: String }
        /// The caller was put on hold, or taken back.
        CallHeld { held: bool }
        /// The caller's line is lost, and waited for.
        CallInterrupted { reason: String }
        /// The caller's line is back.
        CallResumed {}
        /// Nobody has said anything for so long.
        CallIdle { silence: Duration }
        /// What the carrier sent had no effect.
        CallFrameIgnored { reason: String, count: u64 }
        /// The call is over.
        CallEnded { by: EndedBy, reason: String, duration: Duration }
        /// Nothing is left to play: for whoever waits with this token.
        CallPlayed { token: u64, heard: bool }
        /// An offer was answered with this session description, or not, for this reason: because the offer is
        /// invalid, because too many calls begin, or because of this side.
        CallAnswered {
            description: Option<String>,
            problem: Option<String>,
            is_offer_invalid: bool,
            is_busy: bool,
        }
        /// A line that somebody else carries has something to send.
        CallOutgoing {}
    }
    payloads {}
}
