//! Replaces a connection before its time is over: another one is made and told the conversation while
//! the first one lives, and takes over between two frames, at a quiet moment.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use super::connection::{Connection, ConnectionSettings};
use super::connection_role::Role;
use super::{Session, State};
use crate::conversation::{Confirmed, ConnectionEnd, ItemId, Rejected, Replayed};

/// How long before the end of a connection a quiet moment is awaited no longer.
const LAST_MOMENT: Duration = Duration::from_secs(15);

/// After which time another attempt follows one that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// The second connection.
struct Second {
    connection: Arc<Connection>,
    replayed: Replayed,
    /// The items that it has not confirmed.
    unconfirmed: HashSet<ItemId>,
    /// How long it lasts, from its beginning.
    limit: Option<(Duration, Duration)>,
    is_replayed: bool,
}

enum Stage {
    /// Until this time.
    Waiting(Duration),
    /// The second connection is asked for.
    Asked,
    Dialled(Box<Second>),
}

/// The replacement of one connection.
pub(super) struct Rollover {
    stage: Stage,
    /// When a quiet moment is awaited no longer.
    deadline: Duration,
}

impl Rollover {
    pub fn is_dialled(&self) -> bool {
        matches!(self.stage, Stage::Dialled(_))
    }

    /// When something is to be done.
    pub fn poll_timeout(&self) -> Duration {
        match self.stage {
            Stage::Waiting(until) => until.min(self.deadline),
            Stage::Asked | Stage::Dialled(_) => self.deadline,
        }
    }

    /// The second connection, which is given up.
    pub fn give_up(self) {
        if let Stage::Dialled(second) = self.stage {
            second.connection.abandon();
        }
    }

    fn second_of(&mut self, wire_id: u64) -> Option<&mut Second> {
        match &mut self.stage {
            Stage::Dialled(second) if second.connection.connection_id() == wire_id => Some(second),
            _ => None,
        }
    }

    fn is_ready(&self) -> bool {
        matches!(&self.stage, Stage::Dialled(second) if second.is_replayed && second.unconfirmed.is_empty())
    }
}

impl Session {
    /// The server says until when a connection lasts, in seconds of the Unix epoch.
    pub(super) fn note_expiry(&self, connection: &Connection, expires_at: f64) {
        // By the server's clock, where it has told the time: this machine's may be wrong.
        let server_now = connection.server_time().unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap_or_default().as_secs_f64()
        });
        let left = Duration::try_from_secs_f64(expires_at - server_now).unwrap_or_default();
        self.note_limit(connection.connection_id(), Some(left));
    }

    /// A connection lasts for no longer than this, or than the policy says.
    pub(super) fn note_limit(&self, wire_id: u64, left: Option<Duration>) {
        let now = self.clock.now();
        let mut state = self.lock();
        let in_charge = state.conversation.wire_id() == wire_id;
        if state.connection.as_ref().is_some_and(|it| it.announced) {
            // A transport of the caller's has one connection at a time.
            return;
        }
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        if reconnecting.held_by_server() {
            // The call lasts, not the connection.
            return;
        }
        let policy = reconnecting.policy();
        let limits = [left, policy.max_session_duration];
        let Some(limit) = limits.into_iter().flatten().min() else {
            return;
        };
        // A part of it is random, so that sessions that began together do not roll over together.
        let margin = policy.rollover_margin.min(limit / 2);
        let margin = margin.mul_f64(1.0 - 0.2 * rand::random::<f64>());
        if in_charge {
            let end = now + limit;
            let last = LAST_MOMENT.min(margin / 4);
            reconnecting.plan(end.saturating_sub(margin), end.saturating_sub(last));
        } else if let Some(rollover) = &mut reconnecting.rollover
            && let Some(second) = rollover.second_of(wire_id)
        {
            second.limit = Some((now, limit));
        }
        self.arm_timer(&mut state);
    }

    /// Begins to replace the connection if that is due, or replaces it if its time is over.
    pub(super) fn roll_over_if_due(&self) {
        let now = self.clock.now();
        let Some(session) = self.myself.upgrade() else {
            return;
        };
        let mut state = self.lock();
        let wire_id = state.conversation.wire_id();
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        let Some(rollover) = &mut reconnecting.rollover else {
            return;
        };
        if rollover.deadline <= now {
            warn!("the connection's time is over in the middle of a turn: it is cut");
            if let Some(rollover) = reconnecting.rollover.take() {
                rollover.give_up();
            }
            reconnecting.cut();
            if let Some(connection) = state.connection.take() {
                connection.stop_sound();
                connection.close(1000, String::new());
            }
            self.lose(&mut state, wire_id, ConnectionEnd::lost("its time is over"));
            let unsent = self.deliver(&mut state);
            drop(state);
            self.announce(unsent);
            return self.redial_if_due();
        }
        let Stage::Waiting(until) = rollover.stage else {
            return;
        };
        if until > now {
            return;
        }
        rollover.stage = Stage::Asked;
        let redial = reconnecting.redial();
        self.arm_timer(&mut state);
        drop(state);
        info!("the connection is replaced before its time is over");
        match redial {
            Some(redial) => {
                let _ = redial(&session);
            }
            None => self
                .sink
                .redial(0, ConnectionEnd::lost("its time is nearly over")),
        }
    }

    /// A second connection, if one is asked for.
    pub(super) fn second_connection(
        &self,
        state: &mut State,
        settings: ConnectionSettings,
    ) -> Result<Arc<Connection>, Rejected> {
        let asked = state
            .reconnecting
            .as_ref()
            .and_then(|it| it.rollover.as_ref());
        if !asked.is_some_and(|it| matches!(it.stage, Stage::Asked)) {
            return Err(Rejected::Stale);
        }
        let wire_id = state.conversation.new_wire();
        let counters = Arc::clone(&state.counters);
        let secrets = state.secrets.clone();
        let connection = self.new_connection(state, wire_id, settings);
        // The first one is in charge still.
        (state.counters, state.secrets) = (counters, secrets);
        connection.set_role(Role::Second);
        let second = Second {
            connection: Arc::clone(&connection),
            replayed: Replayed::default(),
            unconfirmed: HashSet::new(),
            limit: None,
            is_replayed: false,
        };
        if let Some(reconnecting) = &mut state.reconnecting
            && let Some(rollover) = &mut reconnecting.rollover
        {
            rollover.stage = Stage::Dialled(Box::new(second));
        }
        Ok(connection)
    }

    /// The server has begun on the second connection: it is told the conversation.
    pub(super) fn replay_to_second(&self, connection: &Connection) {
        let mut state = self.lock();
        let replayed = state.conversation.replay_in_advance();
        let Some(second) = second_of(&mut state, connection.connection_id()) else {
            return;
        };
        for message in &replayed.messages {
            if connection.send(message.clone()).is_err() {
                break;
            }
        }
        second.unconfirmed.clone_from(&replayed.ids);
        second.replayed = replayed;
        second.is_replayed = true;
        drop(state);
        connection.announce();
        self.take_over_if_quiet();
    }

    /// The second connection has confirmed an item, or refused one.
    pub(super) fn second_confirmed(&self, wire_id: u64, confirmed: &Confirmed) {
        let mut state = self.lock();
        let ends_items = state.conversation.profile().ends_items;
        let Some(second) = second_of(&mut state, wire_id) else {
            return;
        };
        match confirmed {
            Confirmed::Added(_) if ends_items => return,
            Confirmed::Item(id) | Confirmed::Added(id) => {
                second.unconfirmed.remove(&**id);
            }
            // An item that is refused is left out: the others are told.
            Confirmed::Failed => {
                if let Some(id) = second.unconfirmed.iter().next().cloned() {
                    second.unconfirmed.remove(&id);
                }
            }
            Confirmed::Other => return,
        }
        drop(state);
        self.take_over_if_quiet();
    }

    /// Lets the second connection take over, if it is ready and nothing is under way.
    pub(super) fn take_over_if_quiet(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        let is_ready = |state: &State| {
            let rollover = state.reconnecting.as_ref()?.rollover.as_ref()?;
            rollover.is_ready().then_some(())
        };
        let sounds = state.user_sound.as_ref().is_some_and(|it| !it.is_quiet());
        if is_ready(&state).is_none() || sounds || !state.conversation.is_quiet(now) {
            return;
        }
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        let Some(Stage::Dialled(second)) = reconnecting.rollover.take().map(|it| it.stage) else {
            return;
        };
        reconnecting.rolled_over();
        let connection = second.connection;
        let wire_id = connection.connection_id();
        // Until the first one has given back what it has not sent.
        connection.stop_sound();
        let first = state.connection.replace(Arc::clone(&connection));
        state.counters = Arc::clone(&connection.counters);
        connection.set_role(Role::InCharge);
        state.conversation.take_over(wire_id, &second.replayed);
        info!(wire_id, "another connection has taken over");
        let unsent = self.deliver(&mut state);
        drop(state);
        if let Some(first) = first {
            first.set_role(Role::Replaced);
            first.close(1000, String::new());
        }
        self.announce(unsent);
        let left = second
            .limit
            .map(|(since, limit)| limit.saturating_sub(now.saturating_sub(since)));
        self.note_limit(wire_id, left);
    }

    /// A connection that is not in charge is over: if it was the second one, another one follows.
    pub(super) fn second_ended(&self, state: &mut State, wire_id: u64) {
        if second_of(state, wire_id).is_some() {
            self.second_failed(state);
        }
    }

    /// The second connection could not be made: another attempt follows after a pause.
    pub(super) fn second_failed(&self, state: &mut State) {
        let Some(reconnecting) = &mut state.reconnecting else {
            return;
        };
        reconnecting.second_failed();
        if let Some(rollover) = &mut reconnecting.rollover {
            warn!("the connection that was to take over is lost: another one is made");
            rollover.stage = Stage::Waiting(self.clock.now() + PAUSE);
            self.arm_timer(state);
        }
    }
}

fn second_of(state: &mut State, wire_id: u64) -> Option<&mut Second> {
    let reconnecting = state.reconnecting.as_mut()?;
    reconnecting.rollover.as_mut()?.second_of(wire_id)
}

impl super::reconnect::Reconnecting {
    fn plan(&mut self, due: Duration, deadline: Duration) {
        self.rollover = Some(Box::new(Rollover {
            stage: Stage::Waiting(due),
            deadline: deadline.max(due),
        }));
    }
}
