//! Opens a connection and carries a session's connection over it, whichever transport it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde_json::Value;
use stapes_core::transport::net::ConnectError;
use stapes_core::transport::{CloseReason, Connection, Endpoint as _, Session as Core};

use crate::message::Message;
use crate::sink::Sink;

/// What is said to a server first.
#[derive(Debug)]
pub struct SessionSetup {
    pub session_update: String,
    pub tracing: Value,
    pub agent_version: u64,
}

impl SessionSetup {
    pub fn new(session_update: String, tracing: &str, agent_version: u64) -> PyResult<Self> {
        let tracing = serde_json::from_str(tracing)
            .map_err(|error| PyValueError::new_err(format!("tracing is not JSON: {error}")))?;
        Ok(Self {
            session_update,
            tracing,
            agent_version,
        })
    }
}

/// An attempt to connect. It is boxed, for it is many times as large as what carries the connection,
/// and would take its room for as long as that stands.
pub type Connecting<C> = Pin<Box<dyn Future<Output = Result<C, ConnectError>> + Send>>;

/// Connects, opens the session, and carries its connection; the word `opened`, `not_opened` or `abandoned`
/// says how connecting went.
pub async fn run<C, F: Future<Output = ()>>(
    core: Arc<Core>,
    sink: Arc<Sink>,
    connection: Arc<Connection>,
    setup: SessionSetup,
    connecting: Connecting<C>,
    run: impl FnOnce(C, Arc<Connection>) -> F,
) {
    let connection_id = connection.connection_id();
    match connecting.await {
        Ok(transport) => {
            let SessionSetup {
                session_update,
                tracing,
                agent_version,
            } = setup;
            let opened = core.act(|conversation, _| {
                conversation.opened(connection_id, agent_version, session_update, tracing)
            });
            if opened.is_ok() {
                sink.push_message(0, Message::Opened { connection_id });
                // A session that nobody holds any more is closed by its end, not kept by its driver.
                drop((core, sink));
                run(transport, connection).await;
            } else {
                // Closed meanwhile: the connection goes as it came.
                drop(transport);
                connection.on_ended(CloseReason::ClosedByUs);
                sink.push_message(0, Message::Abandoned { connection_id });
            }
        }
        Err(error) => {
            core.ended(connection_id, error.to_string());
            let error = Box::new(error);
            sink.push_message(
                0,
                Message::NotOpened {
                    connection_id,
                    error,
                },
            );
        }
    }
}
