//! The threads that run the sessions of this process, started when they are first needed.
//!
//! They never touch Python, so nothing has to be attached or stopped when the interpreter ends. A
//! forked child has none of its parent's threads: it starts its own and leaves the parent's
//! untouched.
//!
//! Each thread has a tokio runtime of its own and keeps the sessions that it is given: nothing is
//! stolen and nothing migrates, which at thousands of small tasks a second costs more than it gives.

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::thread;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use stapes_core::session::Pacer;
use stapes_core::transport::bells;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// More threads do not help: one carries thousands of sessions, and what comes of them is dispatched
/// by Python's one thread.
const MOST_WORKERS: usize = 2;
/// For name lookups, which have no other way than to block a thread.
const BLOCKING_THREADS: usize = 16;

/// What a session is carried by.
#[derive(Debug, Clone)]
pub struct Carrier {
    pub handle: Handle,
    /// For what its sessions send in real time.
    pub pacer: Arc<Pacer>,
}

impl Carrier {
    pub fn of(runtime: &Runtime) -> Self {
        let handle = runtime.handle().clone();
        Self {
            pacer: Pacer::new(handle.clone()),
            handle,
        }
    }
}

/// A runtime for one thread, which rings its bells when it comes to rest.
pub fn build() -> PyResult<Runtime> {
    Builder::new_current_thread()
        .thread_name("stapes-blocking")
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_io()
        .enable_time()
        .on_thread_park(bells::at_rest)
        .build()
        .map_err(cannot_start)
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` wants")]
fn cannot_start(error: std::io::Error) -> PyErr {
    PyRuntimeError::new_err(format!("cannot start threads: {error}"))
}

/// A thread that drives its runtime until this is dropped.
struct Worker {
    carrier: Carrier,
    _stop: oneshot::Sender<()>,
}

impl Worker {
    fn start() -> PyResult<Self> {
        let runtime = build()?;
        let carrier = Carrier::of(&runtime);
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("stapes".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        // It ends with an error, for nothing is ever sent.
                        _ = stopped => {}
                        () = bells::ringer() => {}
                    }
                });
                runtime.shutdown_background();
            })
            .map_err(cannot_start)?;
        Ok(Self {
            carrier,
            _stop: stop,
        })
    }
}

struct Started {
    process: u32,
    workers: Vec<Worker>,
    next: AtomicUsize,
}

static STARTED: AtomicPtr<Started> = AtomicPtr::new(ptr::null_mut());

fn workers() -> PyResult<usize> {
    match std::env::var("STAPES_WORKER_THREADS") {
        Ok(text) => text.parse().ok().filter(|n| (1..=256).contains(n)).ok_or_else(|| {
            PyRuntimeError::new_err(format!(
                "STAPES_WORKER_THREADS is {text:?}: set it to a number from 1 to 256, or not at all"
            ))
        }),
        // What the process may run on, not what the machine has.
        Err(_) => Ok(thread::available_parallelism().map_or(1, |n| n.get().min(MOST_WORKERS))),
    }
}

fn start() -> PyResult<Started> {
    Ok(Started {
        process: process(),
        workers: (0..workers()?)
            .map(|_| Worker::start())
            .collect::<PyResult<_>>()?,
        next: AtomicUsize::new(0),
    })
}

/// The thread that is to run the next session.
pub fn next_carrier() -> PyResult<Carrier> {
    loop {
        let current = STARTED.load(Ordering::Acquire);
        // SAFETY: a pointer in STARTED comes from Box::into_raw and is never freed: the threads live
        // as long as their process, and a child only replaces the pointer to its parent's.
        if let Some(started) = unsafe { current.as_ref() }
            && started.process == process()
        {
            let turn = started.next.fetch_add(1, Ordering::Relaxed);
            return Ok(started.workers[turn % started.workers.len()]
                .carrier
                .clone());
        }
        let fresh = Box::into_raw(Box::new(start()?));
        let swapped = STARTED.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire);
        if swapped.is_err() {
            // SAFETY: `fresh` was made above and has not been shared: another thread was first.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }
}

/// The number of this process, or 0 where nobody has asked for it yet.
static PROCESS: AtomicU32 = AtomicU32::new(0);

extern "C" fn forked() {
    PROCESS.store(std::process::id(), Ordering::Release);
}

/// The number of this process. It is asked for with each piece of sound that is sent, and the system
/// is called only once.
pub fn process() -> u32 {
    static WATCH: Once = Once::new();
    let known = PROCESS.load(Ordering::Acquire);
    if known != 0 {
        return known;
    }
    WATCH.call_once(|| {
        // SAFETY: the handler only stores a number, which is allowed in a child of a fork.
        let refused = unsafe { libc::pthread_atfork(None, None, Some(forked)) };
        if refused == 0 {
            forked();
        }
    });
    match PROCESS.load(Ordering::Acquire) {
        0 => std::process::id(),
        known => known,
    }
}

/// Refuses to use across a fork what belongs to the parent's threads.
pub fn same_process(process: u32, what: &str) -> PyResult<()> {
    if process == self::process() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(format!(
        "this {what} belongs to the process that was forked: create a new one in the child"
    )))
}
