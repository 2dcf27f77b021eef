//! A look into a session, for tests.

use std::sync::Arc;

use pyo3::prelude::*;
use stapes_core::conversation::Conversation;
use stapes_core::delivery::process::Process;
use stapes_core::session::Session as Core;

use crate::errors::Outcome;
use crate::options;
use crate::session::Session;

/// Holds the reader of a session, moves its clock and counts its traffic, for tests. It keeps the
/// conversation alive, not its connection.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct Probe {
    core: Arc<Core>,
    process: Process,
}

impl Probe {
    fn core(&self) -> Outcome<&Core> {
        self.process.check("session")?;
        Ok(&self.core)
    }
}

#[pymethods]
impl Probe {
    #[new]
    fn new(session: &Session) -> Outcome<Self> {
        Ok(Self {
            core: Arc::clone(session.0.session()?),
            process: session.0.process(),
        })
    }

    /// The sequence number that was given out last.
    #[getter]
    fn sequence(&self) -> Outcome<u64> {
        Ok(self.core()?.look(Conversation::sequence))
    }

    /// Whether the next attempt to connect again waits for its time.
    fn waits_to_reconnect(&self) -> Outcome<bool> {
        Ok(self.core()?.waits_to_reconnect())
    }

    /// Leaves what the server sends on the wire, or reads it again.
    fn hold_reader(&self, hold: bool) -> Outcome<()> {
        self.core()?.hold_reader(hold);
        Ok(())
    }

    /// Moves a clock that the session was made with (`virtual_clock`).
    fn advance_clock(&self, seconds: f64) -> Outcome<()> {
        self.core()?
            .advance_clock(options::seconds(seconds, "seconds")?);
        Ok(())
    }

    /// `(frames read, messages queued, messages flushed, audio messages dropped)` so far.
    fn traffic(&self) -> Outcome<(u64, u64, u64, u64)> {
        Ok(self.core()?.traffic().numbers())
    }
}
