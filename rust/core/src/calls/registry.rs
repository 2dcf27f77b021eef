//! The calls that stand, so that a new line finds the call that lost its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::call::Call;

/// The number of entries at which those of ended calls are looked for first.
const FIRST_SWEEP: usize = 64;

/// The carrier's name, and its id of the call: a page may choose its own.
type Key = (&'static str, String);

#[derive(Debug, Default)]
struct Calls {
    by_id: HashMap<Key, Weak<Call>>,
    sweep_at: usize,
}

/// The calls of a server.
#[derive(Debug)]
pub struct Registry {
    calls: Mutex<Calls>,
    room: Arc<Semaphore>,
}

/// What a line is that has just started.
pub(super) enum Beginning {
    /// That of a new call.
    New(OwnedSemaphorePermit),
    /// The next line of this call.
    Continued(Arc<Call>),
    /// There are too many calls.
    Full,
    /// No new call is taken any more.
    Closed,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Registry {
    /// `max_calls`: how many may stand at once.
    pub fn new(max_calls: Option<usize>) -> Self {
        let most = max_calls.map_or(Semaphore::MAX_PERMITS, |it| it.min(Semaphore::MAX_PERMITS));
        Self {
            calls: Mutex::default(),
            room: Arc::new(Semaphore::new(most)),
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream of a call has started. It is the next line of a call of the same id that has lost its own,
    /// or whose line is silent: the far end may know sooner that it is broken.
    pub(super) fn begin(&self, call: &Arc<Call>) -> Beginning {
        if let Some(known) = self.waiting(call) {
            return Beginning::Continued(known);
        }
        match Arc::clone(&self.room).try_acquire_owned() {
            Ok(seat) => {
                self.add(call);
                Beginning::New(seat)
            }
            Err(TryAcquireError::NoPermits) => Beginning::Full,
            Err(TryAcquireError::Closed) => Beginning::Closed,
        }
    }

    /// From now on only lines of calls that stand are taken.
    pub(super) fn close(&self) {
        self.room.close();
    }

    fn key(call: &Call) -> Option<Key> {
        call.look(|leg| Some((leg.carrier_name(), leg.started()?.call_id.clone())))
    }

    fn waiting(&self, call: &Arc<Call>) -> Option<Arc<Call>> {
        let key = Self::key(call)?;
        let known = self.calls().by_id.get(&key)?.upgrade()?;
        (!Arc::ptr_eq(&known, call) && known.awaits_line()).then_some(known)
    }

    fn add(&self, call: &Arc<Call>) {
        let Some(key) = Self::key(call) else {
            return;
        };
        let mut calls = self.calls();
        calls.by_id.insert(key, Arc::downgrade(call));
        if calls.by_id.len() >= calls.sweep_at.max(FIRST_SWEEP) {
            calls.by_id.retain(|_, call| call.strong_count() > 0);
            calls.sweep_at = calls.by_id.len() * 2;
        }
    }

    /// The calls that stand.
    pub fn standing(&self) -> Vec<Arc<Call>> {
        let calls = self.calls();
        let known = calls.by_id.values().filter_map(Weak::upgrade);
        known
            .filter(|call| !call.look(super::Leg::is_over))
            .collect()
    }
}
