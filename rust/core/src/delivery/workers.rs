//! The threads that run the sessions of a process, started when they are first needed.
//!
//! They touch no interpreter, so nothing has to be attached or stopped when one ends. A forked
//! child has none of its parent's threads: it starts its own and leaves the parent's untouched.
//!
//! Each thread has a tokio runtime of its own and keeps the sessions that it is given. Stealing work would
//! cost more than it gives with thousands of small tasks a second.

use std::fmt;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use super::process::Process;
use super::wakeup::{self, WakeBatcher};

/// More threads do not help: one runs thousands of sessions, and one reader dispatches what comes
/// of them.
const MAX_WORKERS: usize = 2;
/// For name lookups, which block a thread.
const BLOCKING_THREADS: usize = 16;
const SETTING: &str = "STAPES_WORKER_THREADS";

/// Why there are no threads for sessions.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot start threads: {0}")]
    Threads(#[from] io::Error),
    #[error("STAPES_WORKER_THREADS is {0:?}: set it to a number from 1 to 256, or not at all")]
    Setting(String),
}

/// What runs a session: a runtime of one thread, and what is kept once for the sessions on it.
#[derive(Debug, Clone)]
pub struct Carrier<L> {
    pub handle: Handle,
    pub local: L,
}

/// A runtime for one thread, which makes its pending wake-ups when it parks.
pub fn runtime() -> Result<Runtime, StartError> {
    let built = Builder::new_current_thread()
        .thread_name("stapes-blocking")
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_io()
        .enable_time()
        .on_thread_park(wakeup::on_park)
        .build();
    Ok(built?)
}

/// A thread that drives its runtime until this is dropped.
struct Worker<L> {
    carrier: Carrier<L>,
    _stop: oneshot::Sender<()>,
}

impl<L> Worker<L> {
    fn start(local: fn(&Handle) -> L) -> Result<Self, StartError> {
        let runtime = runtime()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("stapes".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        // It ends with an error, for nothing is ever sent.
                        _ = stopped => {}
                        () = WakeBatcher::install() => {}
                    }
                });
                runtime.shutdown_background();
            })?;
        let local = local(&handle);
        Ok(Self {
            carrier: Carrier { handle, local },
            _stop: stop,
        })
    }
}

struct Started<L> {
    process: Process,
    workers: Vec<Worker<L>>,
    next: AtomicUsize,
}

/// The workers of a process: a `static`.
pub struct Workers<L> {
    started: AtomicPtr<Started<L>>,
    local: fn(&Handle) -> L,
}

impl<L> fmt::Debug for Workers<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").finish_non_exhaustive()
    }
}

impl<L: Clone> Workers<L> {
    /// Starts nothing yet. `local` makes what each worker keeps for its sessions.
    pub const fn new(local: fn(&Handle) -> L) -> Self {
        Self {
            started: AtomicPtr::new(ptr::null_mut()),
            local,
        }
    }

    /// The first worker of this process for which that holds, of those that have been started.
    pub fn find(&self, is_it: impl Fn(&Carrier<L>) -> bool) -> Option<Carrier<L>> {
        let current = self.started.load(Ordering::Acquire);
        // SAFETY: as in `next`.
        let started = unsafe { current.as_ref() }?;
        let mut carriers = started.workers.iter().map(|worker| &worker.carrier);
        let found = carriers.find(|carrier| is_it(carrier));
        found.filter(|_| started.process.is_current()).cloned()
    }

    /// The worker that is to run the next session: each in turn.
    pub fn next(&self) -> Result<Carrier<L>, StartError> {
        loop {
            let current = self.started.load(Ordering::Acquire);
            // SAFETY: a pointer in `started` comes from Box::into_raw and is never freed: the threads
            // live as long as their process, and a child only replaces the pointer to its parent's.
            if let Some(started) = unsafe { current.as_ref() }
                && started.process.is_current()
            {
                let turn = started.next.fetch_add(1, Ordering::Relaxed);
                return Ok(started.workers[turn % started.workers.len()]
                    .carrier
                    .clone());
            }
            let fresh = Box::into_raw(Box::new(self.start()?));
            let swapped =
                self.started
                    .compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire);
            if swapped.is_err() {
                // SAFETY: `fresh` was made above and has not been shared: another thread was first.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }

    fn start(&self) -> Result<Started<L>, StartError> {
        Ok(Started {
            process: Process::current(),
            workers: (0..count(std::env::var(SETTING).ok())?)
                .map(|_| Worker::start(self.local))
                .collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
        })
    }
}

/// How many workers there are to be.
fn count(setting: Option<String>) -> Result<usize, StartError> {
    match setting {
        Some(text) => match text.parse() {
            Ok(number) if (1..=256).contains(&number) => Ok(number),
            _ => Err(StartError::Setting(text)),
        },
        // What the process may run on, not what the machine has.
        None => Ok(thread::available_parallelism().map_or(1, |n| n.get().min(MAX_WORKERS))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_a_number_in_its_range_or_refused_by_name() {
        assert_eq!(count(Some("7".to_owned())).ok(), Some(7));
        assert!((1..=MAX_WORKERS).contains(&count(None).expect("a number")));
        for text in ["0", "257", "many", ""] {
            let refused = count(Some(text.to_owned())).expect_err("out of range");
            assert!(refused.to_string().starts_with("STAPES_WORKER_THREADS is"));
        }
    }

    #[test]
    fn each_worker_gets_sessions_in_turn_and_keeps_what_is_local_to_it() {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        static WORKERS: Workers<usize> = Workers::new(|_| MADE.fetch_add(1, Ordering::Relaxed));
        let first = WORKERS.next().expect("a worker");
        let count = MADE.load(Ordering::Relaxed);
        for n in 1..=2 * count {
            let carrier = WORKERS.next().expect("a worker");
            assert_eq!(carrier.local, (first.local + n) % count);
        }
        assert_eq!(MADE.load(Ordering::Relaxed), count);
        let (sender, receiver) = std::sync::mpsc::channel();
        first.handle.spawn(async move {
            let name = thread::current().name().map(str::to_owned);
            sender.send(name)
        });
        assert_eq!(receiver.recv().expect("it runs").as_deref(), Some("stapes"));
    }
}
