//! A runtime that the thread of an event loop drives itself, while the loop waits.

use std::fs::File;
use std::future::poll_fn;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use stapes_core::transport::bells::Shift;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Runtime;

use crate::hub::duplicate;
use crate::runtime::{self, Carrier};

/// A signal does not end a turn, but Python must come to see it before long.
const LONGEST_TURN: Duration = Duration::from_millis(200);

/// Ends the turn, from any thread: there is something for Python.
#[derive(Debug, Default)]
pub struct Knock {
    knocked: AtomicBool,
    /// Who waits in a turn.
    waits: Mutex<Option<Waker>>,
}

impl Knock {
    pub fn knock(&self) {
        self.knocked.store(true, Ordering::Release);
        if let Some(waker) = self.waits().take() {
            waker.wake();
        }
    }

    fn waits(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_come(&self, context: &mut Context<'_>) -> bool {
        // Before the look: whoever knocks from here on finds it.
        self.waits().get_or_insert_with(|| context.waker().clone());
        self.knocked.load(Ordering::Acquire)
    }

    fn take(&self) -> bool {
        self.waits().take();
        self.knocked.swap(false, Ordering::AcqRel)
    }
}

/// What the loop asks for everything else: an epoll or a kqueue, which has a descriptor as well.
#[derive(Debug)]
struct Selector(AsyncFd<File>);

impl Selector {
    /// Within the runtime.
    fn new(fd: RawFd) -> PyResult<Self> {
        let own = duplicate(fd)?;
        // SAFETY: the file is a descriptor of our own, which it stays and closes only when it is dropped.
        let watched = unsafe { AsyncFd::register_with_interest(own, Interest::READABLE) };
        Ok(Self(watched.map_err(|error| error.into_parts().1)?))
    }

    /// Carries sessions until this has something (true), somebody knocks or the time is over.
    async fn wait(&self, knock: &Knock, timeout: Duration) -> bool {
        if timeout.is_zero() {
            // Everybody's turn comes, and the network is looked at.
            tokio::task::yield_now().await;
            return poll_fn(|context| Poll::Ready(self.poll_ready(context))).await;
        }
        let mut over = pin!(tokio::time::sleep(timeout));
        poll_fn(|context| {
            let found = self.poll_ready(context);
            let ends = found || knock.has_come(context) || over.as_mut().poll(context).is_ready();
            if ends {
                Poll::Ready(found)
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Whether it has something. The runtime is told of changes only: what has been there is looked for
    /// until it is gone.
    fn poll_ready(&self, context: &mut Context<'_>) -> bool {
        while let Poll::Ready(told) = self.0.poll_read_ready(context) {
            let Ok(mut told) = told else { return true };
            if self.has_something() {
                return true;
            }
            told.clear_ready();
        }
        false
    }

    fn has_something(&self) -> bool {
        let mut asked = libc::pollfd {
            fd: self.0.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: it is one descriptor, which lives on this stack for the length of the call.
        unsafe { libc::poll(&raw mut asked, 1, 0) > 0 }
    }
}

#[derive(Debug)]
struct Driven {
    // Before the runtime, which it belongs to: fields are dropped in this order.
    selector: Selector,
    runtime: Runtime,
    shift: Shift,
}

/// The runtime of an event loop that has its sessions carried by its own thread.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct LoopRuntime {
    driven: Mutex<Option<Driven>>,
    pub knock: Arc<Knock>,
    pub carrier: Carrier,
    process: u32,
}

#[pymethods]
impl LoopRuntime {
    /// `selector` is the descriptor of what the loop asks for everything else, of which this keeps its own.
    #[new]
    fn new(selector: RawFd) -> PyResult<Self> {
        let own = runtime::build()?;
        let selector = {
            let _within = own.enter();
            Selector::new(selector)?
        };
        Ok(Self {
            carrier: Carrier::of(&own),
            driven: Mutex::new(Some(Driven {
                selector,
                runtime: own,
                shift: Shift::default(),
            })),
            knock: Arc::default(),
            process: runtime::process(),
        })
    }

    /// Carries sessions for so many seconds at most, or for a fifth of one.
    ///
    /// Returns whether the selector has something, and whether the hub has.
    fn turn(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<(bool, bool)> {
        runtime::same_process(self.process, "event loop")?;
        let timeout = timeout.map_or(LONGEST_TURN, |seconds| {
            Duration::try_from_secs_f64(seconds).map_or(Duration::ZERO, |t| t.min(LONGEST_TURN))
        });
        py.detach(|| {
            let Some(mut driven) = self.unless_at_work() else {
                return Err(PyRuntimeError::new_err(
                    "another thread runs this event loop",
                ));
            };
            let Some(driven) = driven.as_mut() else {
                return Err(PyRuntimeError::new_err("this event loop is closed"));
            };
            let Driven {
                selector,
                runtime,
                shift,
            } = driven;
            let found = shift.work(|| runtime.block_on(selector.wait(&self.knock, timeout)));
            Ok((found, self.knock.take()))
        })
    }

    /// Carries no more: what it still carried is let go of.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.let_go());
    }
}

impl LoopRuntime {
    /// `None` while a thread is in a turn.
    fn unless_at_work(&self) -> Option<MutexGuard<'_, Option<Driven>>> {
        match self.driven.try_lock() {
            Ok(driven) => Some(driven),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn let_go(&self) {
        let driven = self.unless_at_work().and_then(|mut driven| driven.take());
        let Some(driven) = driven else { return };
        if self.process == runtime::process() {
            drop(driven.selector);
            driven.runtime.shutdown_background();
        } else {
            // In a child of a fork its descriptors are the parent's as well.
            std::mem::forget(driven);
        }
    }
}

impl Drop for LoopRuntime {
    fn drop(&mut self) {
        self.let_go();
    }
}
