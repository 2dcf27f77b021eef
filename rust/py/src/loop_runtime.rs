//! The runtimes that run sessions: those of worker threads, and those that event loops drive themselves.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use stapes_core::delivery::loop_driver::LoopDriver;
use stapes_core::delivery::wakeup::LoopWaker;
use stapes_core::delivery::workers::{self, Workers};
use stapes_core::session::Pacer;
use tokio::runtime::Handle;

use crate::errors::Outcome;

/// A runtime, and the timer of what its sessions send in real time.
pub type Carrier = workers::Carrier<Arc<Pacer>>;

static WORKERS: Workers<Arc<Pacer>> = Workers::new(pacer);

fn pacer(handle: &Handle) -> Arc<Pacer> {
    Pacer::new(handle.clone())
}

/// The worker that is to run the next session.
pub fn next_worker() -> Outcome<Carrier> {
    Ok(WORKERS.next()?)
}

/// The runtime of an event loop whose thread runs the sessions itself.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct LoopRuntime {
    driver: LoopDriver,
    pub carrier: Carrier,
}

impl LoopRuntime {
    pub fn waker(&self) -> &Arc<LoopWaker> {
        self.driver.waker()
    }
}

#[pymethods]
impl LoopRuntime {
    /// `selector` is the descriptor that the loop waits for; this keeps a duplicate.
    #[new]
    fn new(selector: RawFd) -> Outcome<Self> {
        let driver = LoopDriver::new(selector)?;
        let handle = driver.handle().clone();
        let local = pacer(&handle);
        Ok(Self {
            driver,
            carrier: Carrier { handle, local },
        })
    }

    /// Runs sessions for so many seconds at most, or for a fifth of one.
    ///
    /// Returns whether the selector has events, and whether the hub has messages.
    fn turn(&self, py: Python<'_>, timeout: Option<f64>) -> Outcome<(bool, bool)> {
        let timeout =
            timeout.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
        let turn = py.detach(|| self.driver.turn(timeout))?;
        Ok((turn.has_events, turn.has_messages))
    }

    /// Runs nothing more.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.driver.close());
    }
}
