//! Replaces a connection that was lost: dials again, and hands the conversation over.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::OptionFuture;
use tracing::{info, warn};

use super::connection::{Connection, ConnectionSettings};
use super::connection_role::Role;
use super::handshakes::Handshake;
use super::rollover::Rollover;
use super::setup::Connecting;
use super::survival::{Survival, Verdict};
use super::{ReconnectOptions, ReconnectPolicy, Session, State, SurvivalStats};
use crate::conversation::{
    ConnectionEnd, Conversation, CoreError, History, Rejected, ReportedError, Status,
    SurvivalOptions,
};
use crate::transport::net::{ConnectError, ConnectPhase};
use crate::transport::{CloseReason, Endpoint as _};

/// Dials as the last connection was dialled.
pub(super) type Redial = Arc<dyn Fn(&Arc<Session>) -> Result<u64, Rejected> + Send + Sync>;

/// How a session gets its next connection.
pub(super) struct Reconnecting {
    survival: Survival,
    redial: Option<Redial>,
    pub(super) rollover: Option<Box<Rollover>>,
    /// The server holds the conversation, and goes on with it.
    held_by_server: bool,
    /// The conversation that the server has on the connection that was lost.
    pub(super) conversation: Option<String>,
    /// The server speaks first, as it did on the connection before.
    server_begins: bool,
    /// The connection whose end was handled last. An end may be told twice: a server refuses an attempt,
    /// and then this side closes it.
    ended: Option<u64>,
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reconnecting").field(&self.survival).finish()
    }
}

impl Reconnecting {
    pub fn new(policy: ReconnectPolicy) -> Self {
        Self {
            survival: Survival::new(policy),
            redial: None,
            rollover: None,
            held_by_server: false,
            conversation: None,
            server_begins: true,
            ended: None,
        }
    }

    pub fn policy(&self) -> &ReconnectPolicy {
        self.survival.policy()
    }

    /// Whether a second connection is being made, or waits for a quiet moment.
    pub fn is_rolling_over(&self) -> bool {
        self.rollover.as_ref().is_some_and(|it| it.is_dialled())
    }

    /// Whether the server holds the conversation, and goes on with it.
    pub fn held_by_server(&self) -> bool {
        self.held_by_server
    }

    /// How to dial, where the session layer is not asked.
    pub(super) fn redial(&self) -> Option<Redial> {
        self.redial.clone().filter(|_| !self.policy().asks)
    }

    pub fn rolled_over(&mut self) {
        self.survival.rolled_over();
    }

    pub fn second_failed(&mut self) {
        self.survival.second_failed();
    }

    /// A turn was cut because the connection's time was over.
    pub fn cut(&mut self) {
        self.survival.expire();
    }

    /// When something is to be done.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let rollover = self.rollover.as_ref().map(|it| it.poll_timeout());
        [self.survival.poll_timeout(), rollover]
            .into_iter()
            .flatten()
            .min()
    }

    pub fn note_error(&mut self, code: &str) {
        self.survival.note_error(code);
    }
}

impl Session {
    /// Has the session make another connection when one is lost.
    pub fn reconnect_by(&self, options: ReconnectOptions) {
        let ReconnectOptions { policy, survival } = options;
        // Ids of this session's must not meet those of a history that an earlier one left.
        let unique: u32 = rand::random();
        let survival = SurvivalOptions {
            id_prefix: format!("{}{unique:08x}", survival.id_prefix).into(),
            ..survival
        };
        let mut state = self.lock();
        state.conversation.survive(survival);
        state.reconnecting = Some(Box::new(Reconnecting::new(policy)));
    }

    /// Whether the session layer is asked where to for each attempt, whether it decides on each, and
    /// whether the key is good for one connection.
    pub fn redial_with(&self, asks: bool, overrides: bool, single_use: bool) {
        if let Some(reconnecting) = &mut self.lock().reconnecting {
            reconnecting
                .survival
                .redial_with(asks, overrides, single_use);
        }
    }

    /// What survival has cost so far.
    pub fn survival_stats(&self) -> SurvivalStats {
        let state = self.lock();
        let reconnecting = state.reconnecting.as_ref();
        reconnecting
            .map(|it| it.survival.stats())
            .unwrap_or_default()
    }

    /// Keeps how the connection is dialled.
    pub(super) fn redial_by(
        &self,
        held_by_server: bool,
        redial: impl Fn(&Arc<Self>) -> Result<u64, Rejected> + Send + Sync + 'static,
    ) {
        if let Some(reconnecting) = &mut self.lock().reconnecting {
            reconnecting.redial = Some(Arc::new(redial));
            reconnecting.held_by_server = held_by_server;
        }
    }

    /// Whether how a connection is dialled has to be kept.
    pub(super) fn keeps_redial(&self) -> bool {
        let state = self.lock();
        let reconnecting = state.reconnecting.as_ref();
        reconnecting.is_some_and(|it| !it.survival.policy().asks)
    }

    /// The server said nothing by itself when the connection stood.
    pub(super) fn server_waits(&self) {
        if let Some(reconnecting) = &mut self.lock().reconnecting {
            reconnecting.server_begins = false;
        }
    }

    /// The server reported an error of that code, which may explain the end that follows.
    pub(super) fn note_error(&self, code: &str) {
        if let Some(reconnecting) = &mut self.lock().reconnecting {
            reconnecting.note_error(code);
        }
    }

    /// Handles the end of a connection, or of an attempt to make one.
    pub(super) fn lose(&self, state: &mut State, wire_id: u64, end: ConnectionEnd) {
        if state.conversation.wire_id() != wire_id {
            self.second_ended(state, wire_id);
            return;
        }
        let now = self.clock.now();
        let status = state.conversation.status();
        if let Some(it) = &mut state.reconnecting
            && it.ended.replace(wire_id) == Some(wire_id)
            && status == Status::Reconnecting
        {
            return;
        }
        if status == Status::Connected {
            state.keep_conversation();
        }
        let again = status == Status::Reconnecting && state.asks_for_another(&end);
        let conversation = &mut state.conversation;
        let verdict = match &mut state.reconnecting {
            Some(it) if status == Status::Connected => {
                it.survival.lost(&end, conversation.is_in_turn(), now)
            }
            Some(it) if status == Status::Reconnecting => {
                it.survival.attempt_failed(&end, again, rand::random(), now)
            }
            _ => Verdict::Over(None),
        };
        match verdict {
            Verdict::Reconnect(reason) if status == Status::Connected => {
                let reconnecting = state.reconnecting.as_mut();
                if let Some(rollover) = reconnecting.and_then(|it| it.rollover.take()) {
                    rollover.give_up();
                }
                info!(
                    code = end.code,
                    reason, "the connection is lost: it is made again"
                );
                conversation.suspend(wire_id, end, reason, now);
                state.suspend_user_sound();
            }
            Verdict::Reconnect(_) => {
                info!(error = end.reason, "an attempt to connect again failed");
            }
            Verdict::Over(why) => {
                if let Some(why) = why {
                    warn!("{why}");
                    conversation.reported(CoreError::GaveUp(why));
                }
                if let Some(it) = &mut state.reconnecting {
                    it.survival.stop();
                }
                conversation.ended(wire_id, end);
            }
        }
    }

    /// Begins the attempt that is due, if one is.
    pub(super) fn redial_if_due(&self) {
        let Some(session) = self.myself.upgrade() else {
            return;
        };
        let now = self.clock.now();
        let (attempt, redial, end) = {
            let mut state = self.lock();
            if state.conversation.status() != Status::Reconnecting {
                return;
            }
            let Some(reconnecting) = &mut state.reconnecting else {
                return;
            };
            let Some(attempt) = reconnecting.survival.take_due(now) else {
                return;
            };
            let end = reconnecting.survival.end();
            (attempt, reconnecting.redial(), end)
        };
        match redial {
            Some(redial) => {
                // It may have been closed meanwhile.
                let _ = redial(&session);
            }
            None => self.sink.redial(attempt, end),
        }
    }

    /// Makes a connection that is to take the place of a lost one, and runs it on the session's runtime.
    pub(super) fn dial_again<C: Send + 'static, F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        settings: ConnectionSettings,
        connecting: Connecting<C>,
        run: impl FnOnce(C, Arc<Connection>) -> F + Send + 'static,
    ) -> Result<u64, Rejected> {
        let connection = self.next_connection(settings)?;
        let wire_id = connection.connection_id();
        let session = Arc::clone(self);
        let attempted = Arc::clone(&connection);
        let making = async move { session.connect_again(&attempted, connecting).await };
        // Joined as in `dial`: one `async` block would keep room for all of it.
        let running = making
            .map(|made| OptionFuture::from(made.map(|it| run(it, connection))))
            .flatten();
        self.runtime.spawn(running);
        Ok(wire_id)
    }

    /// A connection that takes the place of the lost one when the server has begun on it.
    pub fn next_connection(
        &self,
        settings: ConnectionSettings,
    ) -> Result<Arc<Connection>, Rejected> {
        let mut state = self.lock();
        if state.conversation.status() == Status::Connected {
            return self.second_connection(&mut state, settings);
        }
        let wire_id = state.conversation.reconnecting()?;
        let connection = self.new_connection(&mut state, wire_id, settings);
        connection.set_role(Role::Replacement);
        state.connection = Some(Arc::clone(&connection));
        Ok(connection)
    }

    async fn connect_again<C>(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        connecting: Connecting<C>,
    ) -> Option<C> {
        let most = {
            let state = self.lock();
            let reconnecting = state.reconnecting.as_ref()?;
            reconnecting.survival.policy().max_handshakes
        };
        let making = async {
            let handshake = Handshake::begin(most).await;
            (connecting.await, handshake)
        };
        let (made, handshake) = tokio::select! {
            made = making => made,
            // Nothing is sent before the connection stands: it is to be closed.
            () = connection.outgoing_ready().notified() => return None,
        };
        let wire_id = connection.connection_id();
        match made {
            Ok(transport) => {
                connection.keep_handshake(handshake);
                self.begin_again(connection).ok()?;
                Some(transport)
            }
            Err(error) => {
                self.not_connected_again(wire_id, &error);
                None
            }
        }
    }

    /// The connection stands: the conversation goes on over it when the server has begun.
    pub fn begin_again(self: &Arc<Self>, connection: &Arc<Connection>) -> Result<(), Rejected> {
        let patience = connection.first_event_timeout;
        let server_begins = {
            let state = self.lock();
            let reconnecting = state.reconnecting.as_ref();
            reconnecting.is_none_or(|it| it.server_begins)
        };
        if patience.is_zero() || !server_begins {
            if connection.has_role(Role::Second) {
                self.replay_to_second(connection);
                return Ok(());
            }
            return self.resume(connection.connection_id(), false);
        }
        connection.await_first_event();
        self.wait_for_first_event(connection, move |session, connection| {
            connection.abandon();
            let error = ConnectError::TimedOut {
                phase: ConnectPhase::Session,
                after: patience,
            };
            session.not_connected_again(connection.connection_id(), &error);
        });
        Ok(())
    }

    /// The conversation goes on over that connection; `is_held`: the server goes on with it by itself.
    pub(super) fn resume(&self, wire_id: u64, is_held: bool) -> Result<(), Rejected> {
        let now = self.clock.now();
        let mut state = self.lock();
        let reconnecting = state.reconnecting.as_ref();
        let held_by_server = is_held || reconnecting.is_some_and(|it| it.held_by_server);
        state.conversation.resume(wire_id, held_by_server, now)?;
        state.resume_user_sound();
        if let Some(connection) = &state.connection {
            connection.set_role(Role::InCharge);
        }
        if let Some(reconnecting) = &mut state.reconnecting {
            reconnecting.survival.resumed(now);
        }
        info!(wire_id, "the session goes on over another connection");
        let unsent = self.deliver(&mut state);
        drop(state);
        self.announce(unsent);
        self.note_limit(wire_id, None);
        Ok(())
    }

    /// An attempt has failed.
    pub fn not_connected_again(&self, wire_id: u64, error: &ConnectError) {
        let end = ConnectionEnd::from(error);
        if end.retry_after.is_some() {
            self.state().retry_after = end.retry_after;
        }
        self.ended(wire_id, end);
    }

    /// The server answered an attempt with an error.
    pub(super) fn refused_again(&self, connection: &Connection, said: ReportedError) {
        connection.abandon();
        self.not_connected_again(connection.connection_id(), &self.refusal(said));
    }

    /// An attempt ended before the server had begun on it.
    pub(super) fn not_resumed(&self, wire_id: u64, ended: &CloseReason) {
        let end = ConnectionEnd {
            // Whatever it closed with, it did not begin: that may be different next time.
            is_retryable: !matches!(
                ended,
                CloseReason::ClosedByUs | CloseReason::Unsayable { .. }
            ),
            ..ConnectionEnd::from(ended.clone())
        };
        self.ended(wire_id, end);
    }

    /// The session layer could not begin the attempt that is due.
    pub fn attempt_failed(&self, why: String) {
        let wire_id = {
            let mut state = self.lock();
            if state.conversation.status() != Status::Reconnecting {
                return self.second_failed(&mut state);
            }
            if let Some(it) = &mut state.reconnecting {
                // The attempt has no connection, and fails in the name of the last one.
                it.ended = None;
            }
            state.conversation.wire_id()
        };
        self.ended(wire_id, ConnectionEnd::lost(why));
    }

    /// Stops connecting again: the session is disconnected, and says why.
    pub fn give_up(&self, why: String) {
        let mut state = self.lock();
        if state.conversation.status() != Status::Reconnecting {
            return;
        }
        if let Some(it) = &mut state.reconnecting {
            it.survival.stop();
        }
        if let Some(connection) = state.connection.take() {
            connection.abandon();
        }
        let end = ConnectionEnd {
            reason: why.clone(),
            ..ConnectionEnd::default()
        };
        state.conversation.reported(CoreError::GaveUp(why));
        state.conversation.give_up(end);
        state.forget_user_sound();
        let unsent = self.deliver(&mut state);
        drop(state);
        self.announce(unsent);
    }

    /// Whether the next attempt to connect waits for its time.
    pub fn waits_to_reconnect(&self) -> bool {
        let state = self.lock();
        let reconnecting = state.reconnecting.as_ref();
        reconnecting.is_some_and(|it| it.survival.poll_timeout().is_some())
    }

    /// What a new connection cannot be told, for whoever sums it up.
    pub fn left_out(&self) -> History {
        self.look(Conversation::left_out)
    }
}
