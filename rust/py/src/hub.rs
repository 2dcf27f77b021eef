//! The hub of an asyncio event loop: it dispatches what Rust threads have queued for its sessions.

use std::collections::HashMap;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use stapes_core::delivery::hub::WakeBy;
use stapes_core::delivery::logging::{LogReader, add_reader};
use stapes_core::dispatch::{self, MessageHub, SessionCarrier};

use crate::errors::Outcome;
use crate::logging;
use crate::loop_runtime::LoopRuntime;
use crate::route::Route;

/// The loop's half.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct Hub {
    pub queues: Arc<MessageHub>,
    routes: Mutex<HashMap<u64, Arc<Route>>>,
    /// Where the loop runs its sessions itself.
    own: Option<SessionCarrier>,
}

impl Hub {
    /// What is to run the next session.
    pub fn carrier(&self) -> Outcome<SessionCarrier> {
        match &self.own {
            Some(own) => Ok(own.clone()),
            None => Ok(dispatch::next_worker()?),
        }
    }

    /// Dispatches the messages of that session from now on.
    pub fn register(&self, session_id: u64, route: Route) {
        self.routes().insert(session_id, Arc::new(route));
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<u64, Arc<Route>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dispatches what waits. The error is the first that a dispatcher raised; all others have got
    /// their messages then.
    fn dispatch(&self, py: Python<'_>) -> Outcome<()> {
        self.queues.check_process()?;
        let mut failure = None;
        let route = |id| self.routes().get(&id).cloned();
        self.queues.drain(route, |route, sequence, message| {
            if let Err(error) = route.dispatch(py, &self.queues, sequence, message) {
                failure.get_or_insert(error);
            }
        });
        failure.map_or(Ok(()), |error: PyErr| Err(error.into()))
    }
}

#[pymethods]
impl Hub {
    /// `fds` are the ends of a pipe, or an eventfd twice, that do not block: the loop has to call `answer`
    /// when the first can be read. `own` is the runtime that the loop drives: it has to call `answer` when
    /// a turn says so. Without both, a thread calls `wait`.
    #[new]
    #[pyo3(signature = (fds=None, own=None))]
    fn new(fds: Option<(RawFd, RawFd)>, own: Option<&LoopRuntime>) -> PyResult<Self> {
        let wake_by = match (fds, own) {
            (_, Some(own)) => WakeBy::Loop(Arc::clone(own.driver.waker())),
            (Some((watched, waker)), None) => WakeBy::descriptors(watched, waker)?,
            (None, None) => WakeBy::thread(),
        };
        let queues = Arc::new(MessageHub::new(wake_by));
        let reader: Arc<dyn LogReader> = Arc::clone(&queues) as _;
        add_reader(Arc::downgrade(&reader));
        Ok(Self {
            queues,
            routes: Mutex::default(),
            own: own.map(|own| own.carrier.clone()),
        })
    }

    /// Dispatches no more of its messages.
    fn unregister(&self, session_id: u64) {
        // Python objects are released outside of the lock.
        let route = self.routes().remove(&session_id);
        drop(route);
    }

    /// How many sessions it dispatches for.
    fn __len__(&self) -> usize {
        self.routes().len()
    }

    /// Dispatches a batch when the loop is woken. A callback in Python would cost more than the batch.
    fn answer(&self, py: Python<'_>) -> PyResult<()> {
        self.queues.clear_descriptor();
        let outcome = self.dispatch(py).map_err(PyErr::from);
        // Users' log handlers must not stand in the way of events, whatever they raise.
        match outcome.and(logging::hand_out(py)) {
            Err(error) if error.is_instance_of::<PyException>(py) => {
                let hub = py.import(intern!(py, "stapes.hub"))?;
                hub.call_method1(intern!(py, "not_taken"), (error,))?;
                Ok(())
            }
            result => result,
        }
    }

    /// Waits without the GIL until a message is queued; false after `seconds` without any.
    fn wait(&self, py: Python<'_>, seconds: f64) -> bool {
        let timeout = Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
        py.detach(|| self.queues.wait(timeout))
    }

    /// Whether no message waits.
    fn is_idle(&self) -> Outcome<bool> {
        self.queues.check_process()?;
        Ok(self.queues.is_idle())
    }
}
