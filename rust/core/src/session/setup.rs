//! From an attempt to connect to a connection that is run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::OptionFuture;
use serde_json::Value;
use tokio::time::sleep;
use tracing::warn;

use super::Session;
use super::connection::{Connection, ConnectionSettings};
use crate::conversation::{ConnectionEnd, Rejected, ReportedError, ServerEvent};
use crate::transport::net::{ConnectError, ConnectPhase};
use crate::transport::{CloseReason, Endpoint as _};

/// The configuration that the server gets when the connection stands.
#[derive(Debug)]
pub struct SessionSetup {
    /// A whole `session.update`.
    pub session_update: String,
    /// `"auto"`, an object, or null for no tracing.
    pub tracing: Value,
    pub agent_version: u64,
}

impl SessionSetup {
    /// Reads the configuration of tracing from JSON.
    pub fn read(
        session_update: String,
        tracing: &str,
        agent_version: u64,
    ) -> Result<Self, Rejected> {
        let tracing = serde_json::from_str(tracing)
            .map_err(|error| Rejected::Invalid(format!("tracing is not JSON: {error}")))?;
        Ok(Self {
            session_update,
            tracing,
            agent_version,
        })
    }
}

/// An attempt to connect. It is boxed: it is many times as large as what runs the connection, whose
/// task would keep that room until the connection ends.
pub type Connecting<C> = Pin<Box<dyn Future<Output = Result<C, ConnectError>> + Send>>;

impl Session {
    /// Begins a connection and runs it on the session's runtime: connects, opens the session, and
    /// hands the transport to `run`. Returns the connection id; the sink hears by
    /// [`opened`](super::EventSink::opened) or [`not_opened`](super::EventSink::not_opened) how
    /// connecting went.
    pub fn dial<C: Send + 'static, F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        settings: ConnectionSettings,
        setup: SessionSetup,
        connecting: Connecting<C>,
        run: impl FnOnce(C, Arc<Connection>) -> F + Send + 'static,
    ) -> Result<u64, Rejected> {
        let connection = self.connecting(settings)?;
        let connection_id = connection.connection_id();
        let opening = Arc::clone(self).open_connection(Arc::clone(&connection), setup, connecting);
        // Joined without an `async` block: its frame would keep room for the opening, the transport and
        // a second copy of what runs it, for as long as the connection stands.
        let running = opening
            .map(|transport| OptionFuture::from(transport.map(|it| run(it, connection))))
            .flatten();
        self.runtime.spawn(running);
        Ok(connection_id)
    }

    /// Connects and opens the session; `None` where either failed, which the sink then knows. It drops
    /// the session before the driver runs: a driver must not keep alive what nobody holds any more.
    async fn open_connection<C>(
        self: Arc<Self>,
        connection: Arc<Connection>,
        setup: SessionSetup,
        connecting: Connecting<C>,
    ) -> Option<C> {
        let connection_id = connection.connection_id();
        let made = tokio::select! {
            made = connecting => made,
            // Nothing is sent before the connection stands: it is to be closed.
            () = connection.outgoing_ready().notified() => {
                self.sink.not_opened(connection_id, None);
                return None;
            }
        };
        match made {
            Ok(transport) => {
                if self.begin(&connection, setup).is_ok() {
                    return Some(transport);
                }
                // It was closed meanwhile.
                drop(transport);
                connection.on_ended(CloseReason::ClosedByUs);
                self.sink.not_opened(connection_id, None);
            }
            Err(error) => self.failed(connection_id, error),
        }
        None
    }

    /// The connection stands: opens the session, and awaits the server's first event, for no longer
    /// than the connection's settings say. The sink hears how that went.
    pub fn begin(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        setup: SessionSetup,
    ) -> Result<(), Rejected> {
        let connection_id = connection.connection_id();
        let patience = connection.first_event_timeout;
        if patience.is_zero() {
            self.open(connection_id, setup)?;
            self.sink.opened(connection_id);
            return Ok(());
        }
        connection.await_first_event();
        if let Err(rejected) = self.open(connection_id, setup) {
            connection.settle();
            return Err(rejected);
        }
        self.wait_for_first_event(connection, move |session, _| {
            warn!(
                "the server has said nothing for {} s (first_event_timeout): the session goes on \
                 without its first event; with a server that speaks only when spoken to, set \
                 first_event_timeout to 0",
                patience.as_secs_f64()
            );
            session.server_waits();
            session.sink.opened(connection_id);
        });
        Ok(())
    }

    /// Calls `late` if the server's first event does not come in the time that it is awaited for.
    pub(super) fn wait_for_first_event(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        late: impl FnOnce(&Self, &Connection) + Send + 'static,
    ) {
        let patience = connection.first_event_timeout;
        let (session, waiting) = (Arc::downgrade(self), Arc::downgrade(connection));
        let patient = self.runtime.spawn(async move {
            sleep(patience).await;
            if let (Some(session), Some(connection)) = (session.upgrade(), waiting.upgrade())
                && connection.settle()
            {
                late(&session, &connection);
            }
        });
        connection.wait_with(patient.abort_handle());
    }

    /// The connection could not be made.
    fn failed(&self, connection_id: u64, error: ConnectError) {
        let end = ConnectionEnd::from(&error);
        self.end(connection_id, |state| {
            // Before the conversation's own event: it can then be told what the error was.
            self.sink.not_opened(connection_id, Some(error));
            state.retry_after = end.retry_after.or(state.retry_after);
            state.conversation.ended(connection_id, end);
        });
    }

    /// The server's error, as it may be shown.
    pub(super) fn refusal(&self, said: ReportedError) -> ConnectError {
        let secrets = self.secrets();
        let shown = |text: String| secrets.presentable(&text);
        ConnectError::SessionRefused {
            code: said.code.map(shown),
            message: said.message.map(shown),
        }
    }

    /// The server reported an error before anything else.
    pub(super) fn refused(&self, connection_id: u64, event: ServerEvent<'_>, said: ReportedError) {
        let error = self.refusal(said);
        let end = ConnectionEnd::from(&error);
        self.end(connection_id, |state| {
            self.sink.not_opened(connection_id, Some(error));
            state.conversation.refused(connection_id, event, end);
        });
    }

    /// The connection ended before the server said anything.
    pub(super) fn not_begun(&self, connection_id: u64, ended: CloseReason) {
        let secrets = self.secrets();
        let error = match ended {
            CloseReason::ClosedByUs => {
                self.ended(connection_id, ended.into());
                return self.sink.not_opened(connection_id, None);
            }
            CloseReason::Lost { cause } | CloseReason::Unsayable { cause } => {
                ConnectError::Interrupted {
                    phase: ConnectPhase::Session,
                    cause: secrets.presentable(&cause),
                }
            }
            CloseReason::ClosedByPeer { code, reason } => ConnectError::SessionClosed {
                ended: CloseReason::ClosedByPeer {
                    code,
                    reason: secrets.presentable(&reason),
                },
            },
        };
        self.failed(connection_id, error);
    }

    /// The connection stands: the server gets its configuration, and the history starts empty.
    pub fn open(&self, connection_id: u64, setup: SessionSetup) -> Result<(), Rejected> {
        let SessionSetup {
            session_update,
            tracing,
            agent_version,
        } = setup;
        self.act(|conversation, now| {
            conversation.opened(connection_id, agent_version, session_update, tracing)?;
            conversation.ask_for_stored(now);
            Ok(())
        })?;
        self.note_limit(connection_id, None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::runtime::Handle;
    use tokio::sync::{mpsc, oneshot};

    use super::*;
    use crate::conversation::{Event, Options, Status};
    use crate::session::{Clock, EventSink, OutgoingLimits};
    use crate::transport::{Frame, Outgoing};

    #[derive(Debug, PartialEq)]
    enum Told {
        Status(Status),
        Opened(u64),
        NotOpened(u64, bool),
    }

    struct Listener(mpsc::UnboundedSender<Told>);

    impl EventSink for Listener {
        fn push(&self, _: u64, event: Event) {
            if let Event::ConnectionChanged(change) = event {
                let _ = self.0.send(Told::Status(change.status));
            }
        }
        fn pushed(&self) {}
        fn drained(&self) {}
        fn outgoing_ready(&self) {}
        fn opened(&self, connection_id: u64) {
            let _ = self.0.send(Told::Opened(connection_id));
        }
        fn not_opened(&self, connection_id: u64, error: Option<ConnectError>) {
            let _ = self.0.send(Told::NotOpened(connection_id, error.is_some()));
        }
    }

    /// A session, what its sink hears, and an attempt to connect that ends as it is told to.
    struct Dialling {
        session: Arc<Session>,
        told: mpsc::UnboundedReceiver<Told>,
        attempt: Option<oneshot::Sender<Result<(), ConnectError>>>,
        sent: Arc<Mutex<Vec<Outgoing>>>,
    }

    impl Dialling {
        async fn begin() -> Self {
            let (sink, told) = mpsc::unbounded_channel();
            let sink = Arc::new(Listener(sink));
            let (options, limits) = (Options::default(), OutgoingLimits::default());
            let session = Session::new(options, limits, Clock::default(), Handle::current(), sink);
            let setup = SessionSetup {
                session_update: "{}".to_owned(),
                tracing: Value::Null,
                agent_version: 1,
            };
            let (attempt, outcome) = oneshot::channel();
            let connecting = Box::pin(async { outcome.await.expect("it is decided") });
            let sent = Arc::new(Mutex::new(Vec::new()));
            let taken = Arc::clone(&sent);
            let run = move |(), connection: Arc<Connection>| async move {
                connection.take_outgoing(&mut taken.lock().unwrap(), usize::MAX);
                connection.on_ended(CloseReason::ClosedByUs);
            };
            let id = session.dial(ConnectionSettings::default(), setup, connecting, run);
            assert_eq!(id, Ok(1));
            let mut dialling = Self {
                session,
                told,
                attempt: Some(attempt),
                sent,
            };
            assert_eq!(dialling.next().await, Told::Status(Status::Connecting));
            dialling
        }

        fn decide(&mut self, outcome: Result<(), ConnectError>) {
            let attempt = self.attempt.take().expect("it is decided once");
            assert_eq!(attempt.send(outcome), Ok(()));
        }

        async fn next(&mut self) -> Told {
            self.told.recv().await.expect("the session lives")
        }
    }

    #[tokio::test]
    async fn a_connection_that_stands_is_configured_and_run() {
        let mut dialling = Dialling::begin().await;
        dialling.decide(Ok(()));
        assert_eq!(dialling.next().await, Told::Status(Status::Connected));
        assert_eq!(dialling.next().await, Told::Opened(1));
        assert_eq!(dialling.next().await, Told::Status(Status::Disconnected));
        let first = dialling.sent.lock().unwrap().first().cloned();
        assert_eq!(first, Some(Outgoing::Text("{}".to_owned())));
    }

    #[tokio::test]
    async fn the_wait_for_the_first_event_leaves_nothing_behind() {
        let (sink, mut told) = mpsc::unbounded_channel();
        let (options, limits) = (Options::default(), OutgoingLimits::default());
        let (sink, runtime) = (Arc::new(Listener(sink)), Handle::current());
        let session = Session::new(options, limits, Clock::default(), runtime.clone(), sink);
        let settings = ConnectionSettings {
            first_event_timeout: Duration::from_secs(3600),
            ..ConnectionSettings::default()
        };
        let setup = SessionSetup {
            session_update: "{}".to_owned(),
            tracing: Value::Null,
            agent_version: 1,
        };
        let run = |(), connection: Arc<Connection>| async move {
            tokio::task::yield_now().await;
            connection.on_frame(Frame::Text(r#"{"type":"session.created","session":{}}"#));
            std::future::pending::<()>().await;
        };
        let dialled = session.dial(settings, setup, Box::pin(async { Ok(()) }), run);
        assert_eq!(dialled, Ok(1));
        while told.recv().await.expect("the session lives") != Told::Opened(1) {}
        let alive = || runtime.metrics().num_alive_tasks();
        for _ in 0..100 {
            if alive() > 1 {
                tokio::task::yield_now().await;
            }
        }
        assert_eq!(alive(), 1, "what runs the connection");
    }

    #[tokio::test]
    async fn an_attempt_that_fails_is_reported_with_its_error() {
        let mut dialling = Dialling::begin().await;
        let problem = "the test refuses".to_owned();
        dialling.decide(Err(ConnectError::InvalidOption { problem }));
        assert_eq!(dialling.next().await, Told::NotOpened(1, true));
        assert_eq!(dialling.next().await, Told::Status(Status::Disconnected));
    }

    #[tokio::test]
    async fn an_attempt_of_a_session_that_is_closed_is_dropped_at_once() {
        let mut dialling = Dialling::begin().await;
        let attempt = dialling.attempt.as_mut().expect("it is not decided");
        dialling
            .session
            .act(|conversation, _| conversation.close(1000, ""));
        attempt.closed().await;
        assert_eq!(dialling.next().await, Told::Status(Status::Disconnected));
        assert_eq!(dialling.next().await, Told::NotOpened(1, false));
        assert!(dialling.sent.lock().unwrap().is_empty());
    }
}
