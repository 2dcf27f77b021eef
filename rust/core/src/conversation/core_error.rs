//! What goes wrong in a conversation.

use serde_json::Value;

/// What went wrong, without an exception having been raised anywhere.
#[derive(Debug, Clone, PartialEq)]
pub enum CoreError {
    /// The server sent an `error` event; the event, whole.
    Server(Value),
    /// The server reported that something failed; what, and the event, whole.
    Failed { what: String, event: Value },
    /// The server sent what is no event of the protocol.
    Protocol(String),
    /// The model did what it must not, such as reusing a call id.
    Model(String),
    /// The server left a request unanswered.
    Unanswered(String),
    /// Something was to be sent when the connection had been lost.
    NotSent(String),
    /// A message is longer than what the connection takes.
    TooLong(String),
    /// A connection that was lost is not made again.
    GaveUp(String),
}

impl CoreError {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Server(_) | Self::Failed { .. } => "server",
            Self::Protocol(_) => "protocol",
            Self::Model(_) => "model",
            Self::Unanswered(_) => "unanswered",
            Self::NotSent(_) => "not_sent",
            Self::TooLong(_) => "too_long",
            Self::GaveUp(_) => "gave_up",
        }
    }

    pub(super) fn edit_quotes(&mut self, edit: &dyn Fn(&mut String)) {
        match self {
            Self::Server(event) => edit_texts(event, edit),
            Self::Failed { what, event } => {
                edit(what);
                edit_texts(event, edit);
            }
            Self::Protocol(what)
            | Self::Model(what)
            | Self::Unanswered(what)
            | Self::NotSent(what)
            | Self::TooLong(what)
            | Self::GaveUp(what) => edit(what),
        }
    }

    /// What failed, where the server's event says only that and why.
    pub fn failed(&self) -> Option<&str> {
        match self {
            Self::Failed { what, .. } => Some(what),
            _ => None,
        }
    }

    /// What happened, in words; the server's event as JSON.
    pub fn detail(&self) -> String {
        match self {
            Self::Server(event) | Self::Failed { event, .. } => event.to_string(),
            Self::Protocol(what)
            | Self::Model(what)
            | Self::Unanswered(what)
            | Self::NotSent(what)
            | Self::TooLong(what)
            | Self::GaveUp(what) => what.clone(),
        }
    }
}

fn edit_texts(value: &mut Value, edit: &dyn Fn(&mut String)) {
    match value {
        Value::String(text) => edit(text),
        Value::Array(values) => values.iter_mut().for_each(|value| edit_texts(value, edit)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| edit_texts(value, edit)),
        _ => {}
    }
}
