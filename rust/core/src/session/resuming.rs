//! Conversations that a server holds by itself, and goes on with over another connection.

use std::sync::OnceLock;

use super::{Session, State};
use crate::conversation::{ConnectionEnd, ServerEvent, Status};
use crate::transport::net::ConnectRequest;

/// HTTP statuses that say nothing of what was asked for.
const PASSING_STATUSES: [u16; 3] = [408, 425, 429];

/// What a connection has to do with a conversation that the server holds.
#[derive(Debug)]
pub(super) struct Resuming {
    /// The conversation that it was asked to go on with.
    asked: Option<String>,
    /// The one that it has, as the server says.
    has: OnceLock<String>,
}

impl Resuming {
    pub fn new(asked: Option<String>) -> Self {
        let has = OnceLock::new();
        Self { asked, has }
    }

    pub fn note(&self, event: &ServerEvent<'_>) {
        if let Some(id) = event.conversation_created() {
            // A connection has one.
            let _ = self.has.set(id.to_owned());
        }
    }

    /// The conversation that the server has on this connection.
    pub fn conversation(&self) -> Option<&str> {
        self.has.get().map(String::as_str)
    }

    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether the server goes on with the conversation that it was asked for; `None`: it has not said so
    /// yet.
    pub fn is_held(&self) -> Option<bool> {
        match &self.asked {
            None => Some(false),
            Some(asked) => self.has.get().map(|has| has == asked),
        }
    }
}

impl Session {
    /// The request by which a lost connection is made again, and the conversation of the server's that is
    /// asked for by it.
    pub(super) fn resumed(&self, request: &ConnectRequest) -> Option<(ConnectRequest, String)> {
        let state = self.lock();
        let field = &state.conversation.profile().resumes_by;
        if field.is_empty() || state.conversation.status() != Status::Reconnecting {
            return None;
        }
        let id = state.reconnecting.as_ref()?.conversation.clone()?;
        let value = percent_encoding::utf8_percent_encode(&id, percent_encoding::NON_ALPHANUMERIC);
        let separator = if request.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}{field}={value}", request.url);
        Some((
            ConnectRequest {
                url,
                ..request.clone()
            },
            id,
        ))
    }
}

impl State {
    /// The connection in charge was lost: the server may hold its conversation.
    pub(super) fn keep_conversation(&mut self) {
        let connection = self.connection.as_ref();
        let held = connection.and_then(|it| it.resuming.conversation().map(str::to_owned));
        if let Some(reconnecting) = &mut self.reconnecting {
            reconnecting.conversation = held;
        }
    }

    /// An attempt has failed. Whether it is to be made again without the conversation that it asked for, which
    /// the server may not have any more: it answered the attempt.
    pub(super) fn asks_for_another(&mut self, end: &ConnectionEnd) -> bool {
        let connection = self.connection.as_ref();
        let Some(connection) = connection.filter(|it| it.resuming.is_asked()) else {
            return false;
        };
        let is_refused = end.status.is_some_and(|status| {
            let is_passing = PASSING_STATUSES.contains(&status);
            (400..500).contains(&status) && !is_passing
        });
        let reconnecting = self.reconnecting.as_mut();
        (is_refused || !connection.is_pending())
            && reconnecting.is_some_and(|it| it.conversation.take().is_some())
    }
}
