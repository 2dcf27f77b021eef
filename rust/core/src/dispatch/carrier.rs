//! What runs a session: a worker thread of the process, or the loop that handles its events.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::delivery::workers::{Carrier, StartError, Workers};
use crate::session::Pacer;

/// A runtime, and the timer of what its sessions send in real time.
pub type SessionCarrier = Carrier<Arc<Pacer>>;

static WORKERS: Workers<Arc<Pacer>> = Workers::new(pacer);

fn pacer(handle: &Handle) -> Arc<Pacer> {
    Pacer::new(handle.clone())
}

/// The worker that is to run the next session.
pub fn next_worker() -> Result<SessionCarrier, StartError> {
    WORKERS.next()
}

/// The worker of a runtime, for whoever runs on it.
pub(super) fn worker_of(handle: &Handle) -> Option<SessionCarrier> {
    WORKERS.find(|worker| worker.handle.id() == handle.id())
}

/// For the sessions of a runtime that something else drives.
pub fn carrier(handle: &Handle) -> SessionCarrier {
    Carrier {
        handle: handle.clone(),
        local: pacer(handle),
    }
}
