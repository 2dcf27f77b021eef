//! One tokio runtime for the process, started when it is first needed.
//!
//! Its threads never touch Python, so nothing has to be attached or stopped when the interpreter
//! ends. A forked child has none of its parent's threads: it starts a runtime of its own and leaves
//! the parent's untouched.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

/// Two threads carry thousands of sessions; more make tasks migrate.
const WORKERS: usize = 2;

struct Started {
    process: u32,
    runtime: Runtime,
}

static STARTED: AtomicPtr<Started> = AtomicPtr::new(ptr::null_mut());

fn start() -> PyResult<Started> {
    let workers = match std::env::var("STAPES_WORKER_THREADS") {
        Ok(text) => text.parse().ok().filter(|n| (1..=256).contains(n)).ok_or_else(|| {
            PyRuntimeError::new_err(format!(
                "STAPES_WORKER_THREADS is {text:?}: set it to a number from 1 to 256, or not at all"
            ))
        })?,
        Err(_) => WORKERS,
    };
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("stapes")
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| PyRuntimeError::new_err(format!("cannot start threads: {error}")))?;
    Ok(Started {
        process: std::process::id(),
        runtime,
    })
}

/// The runtime of this process.
pub fn handle() -> PyResult<Handle> {
    loop {
        let current = STARTED.load(Ordering::Acquire);
        // SAFETY: a pointer in STARTED comes from Box::into_raw and is never freed: a runtime lives
        // as long as its process, and a child only replaces the pointer to its parent's.
        if let Some(started) = unsafe { current.as_ref() }
            && started.process == std::process::id()
        {
            return Ok(started.runtime.handle().clone());
        }
        let fresh = Box::into_raw(Box::new(start()?));
        let swapped = STARTED.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire);
        if swapped.is_err() {
            // SAFETY: `fresh` was made above and has not been shared: another thread was first.
            let ours = unsafe { Box::from_raw(fresh) };
            ours.runtime.shutdown_background();
        }
    }
}

/// Refuses to use across a fork what belongs to the parent's threads.
pub fn same_process(process: u32, what: &str) -> PyResult<()> {
    if process == std::process::id() {
        return Ok(());
    }
    Err(PyRuntimeError::new_err(format!(
        "this {what} belongs to the process that was forked: create a new one in the child"
    )))
}
