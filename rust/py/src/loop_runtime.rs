//! The runtimes that run sessions: those of worker threads, and those that event loops drive themselves.

use std::os::fd::RawFd;
use std::time::Duration;

use pyo3::prelude::*;
use stapes_core::delivery::loop_driver::LoopDriver;
use stapes_core::dispatch::{self, SessionCarrier};

use crate::errors::Outcome;

/// The runtime of an event loop whose thread runs the sessions itself.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct LoopRuntime {
    pub driver: LoopDriver,
    pub carrier: SessionCarrier,
}

#[pymethods]
impl LoopRuntime {
    /// `selector` is the descriptor that the loop waits for; this keeps a duplicate.
    #[new]
    fn new(selector: RawFd) -> Outcome<Self> {
        let driver = LoopDriver::new(selector)?;
        let carrier = dispatch::carrier(driver.handle());
        Ok(Self { driver, carrier })
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
