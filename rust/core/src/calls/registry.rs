//! The calls that stand, so that a new line finds the call that lost its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::call::Call;

/// The number of entries at which those of ended calls are looked for first.
const FIRST_SWEEP: usize = 64;

#[derive(Debug, Default)]
struct Calls {
    by_id: HashMap<String, Weak<Call>>,
    sweep_at: usize,
}

/// By the carrier's id of the call.
#[derive(Debug, Default)]
pub struct Registry(Mutex<Calls>);

impl Registry {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call of the same id that has lost its line.
    pub(super) fn lost_call(&self, call: &Arc<Call>) -> Option<Arc<Call>> {
        let id = call.started()?.call_id;
        let known = self.calls().by_id.get(&id)?.upgrade()?;
        (!Arc::ptr_eq(&known, call) && known.is_lost()).then_some(known)
    }

    pub(super) fn add(&self, call: &Arc<Call>) {
        let Some(started) = call.started() else {
            return;
        };
        let mut calls = self.calls();
        calls.by_id.insert(started.call_id, Arc::downgrade(call));
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
