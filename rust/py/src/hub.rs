//! The hub: what Rust threads have to say to one asyncio event loop.
//!
//! Rust threads push plain Rust events and write to one file descriptor, once per batch; the loop
//! then dispatches everything that is queued in one call. No Rust thread holds a Python object or
//! waits for the GIL.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use stapes_core::transport::bells::{self, Bell};

use crate::dispatch::{DispatchCursor, Route};
use crate::logging;
use crate::loop_runtime::{Knock, LoopRuntime};
use crate::queue::{QueueLimits, SessionQueue, Word, Words};
use crate::runtime::{self, Carrier};
use crate::session::Session;

/// Words that are dispatched before the loop gets to do something else.
const BATCH: usize = 4096;

/// How many sessions' room for words is kept when they have been dispatched, and how much of each.
const MOST_SPARE_WORDS: usize = 32;
const LONGEST_SPARE_WORDS: usize = 16;

/// A session, and its words.
type Taken = (u64, Words);

#[derive(Debug, Default)]
struct Queues {
    sessions: HashMap<u64, SessionQueue>,
    /// Those that have something to say, in the order in which they began to.
    ready: VecDeque<u64>,
    /// Room for words that have been dispatched: it goes from Rust's threads to Python's and back.
    spare_words: Vec<Words>,
    next_id: u64,
}

/// Buffers of sound that have been emptied, the last one first: it is in the processor's cache still.
/// They go from Rust's threads to Python's and back, which allocators do not like.
#[derive(Debug, Default)]
struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    /// How many are kept, and how long they may be: half a MiB together.
    const MOST: usize = 32;
    const LONGEST: usize = 16 * 1024;

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<u8> {
        self.lock().pop().unwrap_or_default()
    }

    fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= Self::LONGEST {
            buffer.clear();
            let mut spares = self.lock();
            if spares.len() < Self::MOST {
                spares.push(buffer);
            }
        }
    }
}

/// What wakes the loop.
#[derive(Debug)]
enum Alarm {
    /// It watches one end of a pipe or an eventfd; what is written to the other wakes it.
    Descriptor { watched: File, waker: File },
    /// It carries its sessions itself.
    Knock(Arc<Knock>),
    /// A thread stands in where a loop watches no file descriptors.
    Thread(Condvar),
}

/// The half of the hub that Rust threads hold.
#[derive(Debug)]
pub struct Shared {
    queues: Mutex<Queues>,
    spares: Spares,
    /// The loop has been woken and has not drained yet.
    woken: AtomicBool,
    alarm: Alarm,
    process: u32,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn register(&self, limits: QueueLimits, cursor: Arc<DispatchCursor>) -> u64 {
        let mut queues = self.queues();
        queues.next_id += 1;
        let id = queues.next_id;
        queues
            .sessions
            .insert(id, SessionQueue::new(limits, cursor));
        id
    }

    pub fn unregister(&self, id: u64) {
        self.queues().sessions.remove(&id);
    }

    /// False where more waits for the session than may.
    pub fn push(&self, id: u64, sequence: u64, word: Word) -> bool {
        let mut queues = self.queues();
        let queues = &mut *queues;
        let Some(queue) = queues.sessions.get_mut(&id) else {
            return true;
        };
        queue.furnish(&mut queues.spare_words);
        let has_room = queue.push(sequence, word);
        if !queue.listed {
            queue.listed = true;
            queues.ready.push_back(id);
        }
        has_room
    }

    /// An empty buffer for sound.
    pub fn spare_buffer(&self) -> Vec<u8> {
        self.spares.take()
    }

    /// Takes a buffer back whose sound has been handed out.
    pub fn give_back(&self, buffer: Vec<u8>) {
        self.spares.give(buffer);
    }

    /// Takes what is queued, session by session, up to about `limit` words; whether more is left.
    fn take(&self, limit: usize) -> (Vec<Taken>, bool) {
        let mut taken = Vec::new();
        let mut count = 0;
        let mut queues = self.queues();
        while count < limit {
            let Some(id) = queues.ready.pop_front() else {
                break;
            };
            if let Some(queue) = queues.sessions.get_mut(&id) {
                let words = queue.take();
                count += words.len();
                taken.push((id, words));
            }
        }
        let more = !queues.ready.is_empty();
        (taken, more)
    }

    /// Takes the room back of words that have been dispatched.
    fn give_words_back(&self, dispatched: Vec<Taken>) {
        let mut queues = self.queues();
        for (_, words) in dispatched {
            if queues.spare_words.len() == MOST_SPARE_WORDS {
                break;
            }
            if words.capacity() <= LONGEST_SPARE_WORDS {
                queues.spare_words.push(words);
            }
        }
    }

    /// Wakes the loop, unless it has been woken already.
    pub fn wake(self: &Arc<Self>) {
        if self.woken.swap(true, Ordering::AcqRel) {
            bells::has_said();
        } else {
            bells::ring(self);
        }
    }
}

impl logging::WakeLoop for Shared {
    fn wake_loop(self: Arc<Self>) {
        self.wake();
    }
}

impl Bell for Shared {
    fn ring(&self) {
        match &self.alarm {
            // A full pipe wakes as well as a write would.
            Alarm::Descriptor { waker, .. } => drop((&*waker).write(&1u64.to_ne_bytes())),
            Alarm::Knock(knock) => knock.knock(),
            Alarm::Thread(bell) => {
                let _queues = self.queues();
                bell.notify_all();
            }
        }
    }
}

/// A descriptor of our own for what Python's stands for.
pub fn duplicate(fd: RawFd) -> PyResult<File> {
    // SAFETY: the caller owns the descriptor and keeps it open during this call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

/// The loop's half.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct Hub {
    pub shared: Arc<Shared>,
    routes: Mutex<HashMap<u64, Arc<Route>>>,
    /// Where the loop carries its sessions itself.
    own: Option<Carrier>,
}

impl Hub {
    /// What is to run the next session.
    pub fn carrier(&self) -> PyResult<Carrier> {
        match &self.own {
            Some(own) => Ok(own.clone()),
            None => runtime::next_carrier(),
        }
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<u64, Arc<Route>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dispatches what is queued, up to about `BATCH` words; what is left wakes the loop again.
    ///
    /// An error is the first that a dispatcher raised; all others have got their words then.
    fn dispatch(&self, py: Python<'_>) -> PyResult<()> {
        runtime::same_process(self.shared.process, "hub")?;
        // Before the look: whoever pushes from here on wakes the loop again.
        self.shared.woken.store(false, Ordering::Release);
        let (mut taken, more) = self.shared.take(BATCH);
        if more {
            self.shared.woken.store(true, Ordering::Release);
            self.shared.ring();
        }
        let mut failure = None;
        for (id, words) in &mut taken {
            let route = self.routes().get(id).cloned();
            for (sequence, word) in words.drain(..) {
                let Some(route) = &route else { continue };
                if let Err(error) = route.take(py, &self.shared, sequence, word) {
                    failure.get_or_insert(error);
                }
            }
        }
        self.shared.give_words_back(taken);
        failure.map_or(Ok(()), Err)
    }
}

#[pymethods]
impl Hub {
    /// The ends of a pipe, or an eventfd twice, that do not block: the loop is to `answer` when the first
    /// can be read. Or the runtime that the loop drives: it is to `answer` when a turn says so. Neither
    /// for a loop that knows neither.
    #[new]
    #[pyo3(signature = (fds=None, own=None))]
    fn new(fds: Option<(RawFd, RawFd)>, own: Option<&LoopRuntime>) -> PyResult<Self> {
        let alarm = match (fds, own) {
            (_, Some(own)) => Alarm::Knock(Arc::clone(&own.knock)),
            (Some((read, write)), None) => Alarm::Descriptor {
                watched: duplicate(read)?,
                waker: duplicate(write)?,
            },
            (None, None) => Alarm::Thread(Condvar::new()),
        };
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            spares: Spares::default(),
            woken: AtomicBool::new(false),
            alarm,
            process: runtime::process(),
        });
        let event_loop: Weak<dyn logging::WakeLoop> =
            Arc::downgrade(&(Arc::clone(&shared) as Arc<dyn logging::WakeLoop>));
        logging::add_loop(event_loop);
        Ok(Self {
            shared,
            routes: Mutex::default(),
            own: own.map(|own| own.carrier.clone()),
        })
    }

    /// Dispatches what that session says: sound to the callables in `listeners.audio`, every other
    /// word to `dispatcher`, all of it through `dispatcher.run`. Keeps only `dispatcher` alive.
    fn register(
        &self,
        session: &Session,
        dispatcher: &Bound<'_, PyAny>,
        listeners: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let route = Route::new(Arc::clone(session.cursor()), dispatcher, listeners)?;
        self.routes().insert(session.id(), Arc::new(route));
        Ok(())
    }

    /// Dispatches no more of it.
    fn unregister(&self, session_id: u64) {
        // Python objects are let go of when the lock is free again.
        let route = self.routes().remove(&session_id);
        drop(route);
    }

    /// How many sessions it dispatches for.
    fn __len__(&self) -> usize {
        self.routes().len()
    }

    /// Dispatches a batch: what the loop does when it is woken. Nothing of it is Python's, which costs
    /// more than what there often is to dispatch.
    fn answer(&self, py: Python<'_>) -> PyResult<()> {
        if let Alarm::Descriptor { watched, .. } = &self.shared.alarm {
            // Nothing is there where another has answered.
            drop((&*watched).read(&mut [0; 64]));
        }
        logging::hand_out(py)?;
        match self.dispatch(py) {
            Err(error) if error.is_instance_of::<PyException>(py) => {
                let hub = py.import(intern!(py, "stapes.hub"))?;
                hub.call_method1(intern!(py, "not_taken"), (error,))?;
                Ok(())
            }
            result => result,
        }
    }

    /// Waits until something is queued, without the GIL; false after `seconds` of silence.
    fn wait(&self, py: Python<'_>, seconds: f64) -> bool {
        let shared = &self.shared;
        let Alarm::Thread(bell) = &shared.alarm else {
            return false;
        };
        py.detach(|| {
            let queues = shared.queues();
            if shared.woken.load(Ordering::Acquire) {
                return true;
            }
            let timeout = Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
            drop(bell.wait_timeout(queues, timeout));
            shared.woken.load(Ordering::Acquire)
        })
    }

    /// Whether nothing is queued.
    fn is_idle(&self) -> PyResult<bool> {
        runtime::same_process(self.shared.process, "hub")?;
        Ok(self.shared.queues().ready.is_empty())
    }
}
