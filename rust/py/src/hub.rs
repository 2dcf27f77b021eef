//! The hub: what Rust threads have to say to one asyncio event loop.
//!
//! Rust threads push plain Rust events and write to one file descriptor, once per batch; the loop
//! then drains everything that is queued into Python objects in one call. No Rust thread holds a
//! Python object or waits for the GIL.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use stapes_core::conversation::Event;
use stapes_core::transport::Streamed;
use stapes_core::transport::websocket::ConnectError;

use crate::convert;
use crate::runtime;

/// What a session says to its Python half.
#[derive(Debug)]
pub enum Word {
    Event(Event),
    /// `connect` has succeeded.
    Opened {
        generation: u64,
    },
    /// `connect` has failed.
    NotOpened {
        generation: u64,
        error: Box<ConnectError>,
    },
    /// It was closed while it was connecting.
    Abandoned {
        generation: u64,
    },
    /// There is room again for what waits to be sent.
    Drained,
    /// A line that Python carries has something to send.
    ToCarry,
    /// A long sound has been sent, or is no longer sent.
    Streamed {
        token: u64,
        streamed: Streamed,
    },
    /// These were dropped, oldest first, because the loop did not come to read them.
    Lagging(Dropped),
    /// The bound on what must not be dropped was reached.
    TooSlow {
        waiting: usize,
    },
}

/// How many events of each kind were dropped.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    pub audio: u64,
    pub raw: u64,
    pub transcripts: u64,
}

/// Bounds on what may wait for the loop.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Events of a session.
    pub events: usize,
    /// Bytes of audio and raw events of a session.
    pub bytes: usize,
}

#[derive(Debug)]
struct SessionQueue {
    words: VecDeque<(u64, Word)>,
    bytes: usize,
    dropped: Dropped,
    limits: QueueLimits,
    wants_history: bool,
    /// It is in the list of those that have something to say.
    listed: bool,
    too_slow: bool,
}

fn weight(word: &Word) -> usize {
    match word {
        Word::Event(Event::Audio { data, .. }) => data.len(),
        Word::Event(Event::Raw { text } | Event::Outgoing { text }) => text.len(),
        _ => 0,
    }
}

impl SessionQueue {
    /// False where more waits than may, and none of it may be dropped.
    fn push(&mut self, sequence: u64, word: Word) -> bool {
        match &word {
            Word::Event(Event::AudioInterrupted { response_id, .. }) => {
                self.purge_audio(response_id);
            }
            // Nobody looks at versions in between: the last one says it all. What may run users' code
            // shows that code the version of its own place, so nothing is taken away across it.
            Word::Event(Event::HistoryUpdated { .. }) if !self.wants_history => {
                let silent = |(_, word): &(u64, Word)| {
                    matches!(
                        word,
                        Word::Event(
                            Event::HistoryUpdated { .. }
                                | Event::Audio { .. }
                                | Event::TranscriptDelta { .. }
                        )
                    )
                };
                let history = |(_, word): &(u64, Word)| {
                    matches!(word, Word::Event(Event::HistoryUpdated { .. }))
                };
                let since = self
                    .words
                    .iter()
                    .rposition(|word| !silent(word))
                    .map_or(0, |at| at + 1);
                if let Some(at) = self.words.iter().skip(since).position(history) {
                    self.words.remove(since + at);
                }
            }
            _ => {}
        }
        self.bytes += weight(&word);
        self.words.push_back((sequence, word));
        while self.bytes > self.limits.bytes || self.words.len() > self.limits.events {
            if !self.drop_oldest() {
                break;
            }
        }
        if self.words.len() <= self.limits.events {
            return true;
        }
        if !self.too_slow {
            self.too_slow = true;
            self.words.push_back((
                sequence,
                Word::TooSlow {
                    waiting: self.words.len(),
                },
            ));
        }
        false
    }

    /// No sound of an interrupted answer is to be heard any more.
    fn purge_audio(&mut self, of: &str) {
        let mut purged = 0;
        self.words.retain(|(_, word)| match word {
            Word::Event(Event::Audio {
                response_id, data, ..
            }) if **response_id == *of => {
                purged += data.len();
                false
            }
            _ => true,
        });
        self.bytes -= purged;
    }

    fn drop_oldest(&mut self) -> bool {
        let droppable = |(_, word): &(u64, Word)| {
            matches!(
                word,
                Word::Event(
                    Event::Audio { .. } | Event::Raw { .. } | Event::TranscriptDelta { .. }
                )
            )
        };
        let Some(at) = self.words.iter().position(droppable) else {
            return false;
        };
        if let Some((_, word)) = self.words.remove(at) {
            self.bytes -= weight(&word);
            match word {
                Word::Event(Event::Audio { .. }) => self.dropped.audio += 1,
                Word::Event(Event::Raw { .. }) => self.dropped.raw += 1,
                _ => self.dropped.transcripts += 1,
            }
        }
        true
    }
}

#[derive(Debug, Default)]
struct Queues {
    sessions: HashMap<u64, SessionQueue>,
    /// Those that have something to say, in the order in which they began to.
    ready: VecDeque<u64>,
    next_id: u64,
}

/// The half of the hub that Rust threads hold.
#[derive(Debug)]
pub struct Shared {
    queues: Mutex<Queues>,
    /// The loop has been woken and has not drained yet.
    woken: AtomicBool,
    waker: Option<File>,
    /// Wakes the thread that stands in where a loop watches no file descriptors.
    bell: Condvar,
    process: u32,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn register(&self, limits: QueueLimits) -> u64 {
        let mut queues = self.queues();
        queues.next_id += 1;
        let id = queues.next_id;
        queues.sessions.insert(
            id,
            SessionQueue {
                words: VecDeque::new(),
                bytes: 0,
                dropped: Dropped::default(),
                limits,
                wants_history: false,
                listed: false,
                too_slow: false,
            },
        );
        id
    }

    pub fn unregister(&self, id: u64) {
        self.queues().sessions.remove(&id);
    }

    pub fn want_history(&self, id: u64, wanted: bool) {
        if let Some(queue) = self.queues().sessions.get_mut(&id) {
            queue.wants_history = wanted;
        }
    }

    /// False where more waits for the session than may.
    pub fn push(&self, id: u64, sequence: u64, word: Word) -> bool {
        let mut queues = self.queues();
        let Some(queue) = queues.sessions.get_mut(&id) else {
            return true;
        };
        let has_room = queue.push(sequence, word);
        if !queue.listed {
            queue.listed = true;
            queues.ready.push_back(id);
        }
        has_room
    }

    /// Wakes the loop, unless it has been woken already or looks by itself.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.ring();
        }
    }

    fn ring(&self) {
        if let Some(waker) = &self.waker {
            // A full pipe wakes as well as a write would.
            drop((&*waker).write(&1u64.to_ne_bytes()));
        } else {
            let _queues = self.queues();
            self.bell.notify_all();
        }
    }
}

/// The loop's half.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct Hub {
    pub shared: Arc<Shared>,
}

#[pymethods]
impl Hub {
    /// `wake_fd` is an eventfd or the write end of a pipe, not blocking; `None` for a loop that
    /// cannot watch one.
    #[new]
    #[pyo3(signature = (wake_fd=None))]
    fn new(wake_fd: Option<RawFd>) -> PyResult<Self> {
        let waker = match wake_fd {
            None => None,
            Some(fd) => {
                // SAFETY: the caller owns the descriptor and keeps it open during this call; what is
                // kept is a duplicate of our own.
                let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
                Some(File::from(borrowed.try_clone_to_owned()?))
            }
        };
        Ok(Self {
            shared: Arc::new(Shared {
                queues: Mutex::default(),
                woken: AtomicBool::new(false),
                waker,
                bell: Condvar::new(),
                process: std::process::id(),
            }),
        })
    }

    /// Takes what is queued, as `[(session id, [word, ...]), ...]`, up to about `limit` words.
    ///
    /// Where the loop is `coming_back` by itself it is not woken by what is pushed meanwhile, unless
    /// more was left than may be taken at once.
    #[pyo3(signature = (limit, coming_back=false))]
    fn drain<'py>(
        &self,
        py: Python<'py>,
        limit: usize,
        coming_back: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        runtime::same_process(self.shared.process, "hub")?;
        // Before the look: whoever pushes from here on wakes the loop again.
        self.shared.woken.store(coming_back, Ordering::Release);
        let mut taken: Vec<(u64, Vec<(u64, Word)>)> = Vec::new();
        let mut count = 0;
        let mut queues = self.shared.queues();
        while count < limit {
            let Some(id) = queues.ready.pop_front() else {
                break;
            };
            let Some(queue) = queues.sessions.get_mut(&id) else {
                continue;
            };
            queue.listed = false;
            queue.too_slow = false;
            queue.bytes = 0;
            let mut words = Vec::with_capacity(queue.words.len() + 1);
            let dropped = std::mem::take(&mut queue.dropped);
            if dropped != Dropped::default() {
                let sequence = queue.words.front().map_or(0, |(sequence, _)| *sequence);
                words.push((sequence, Word::Lagging(dropped)));
            }
            words.extend(queue.words.drain(..));
            count += words.len();
            taken.push((id, words));
        }
        let more = !queues.ready.is_empty();
        drop(queues);
        if more {
            self.shared.woken.store(true, Ordering::Release);
            self.shared.ring();
        }
        let batches = PyList::empty(py);
        for (id, words) in taken {
            let list = PyList::empty(py);
            for (sequence, word) in words {
                list.append(convert::word(py, sequence, word)?)?;
            }
            batches.append(PyTuple::new(
                py,
                [id.into_pyobject(py)?.into_any(), list.into_any()],
            )?)?;
        }
        Ok(batches)
    }

    /// Waits until something is queued, without the GIL; false after `seconds` of silence.
    fn wait(&self, py: Python<'_>, seconds: f64) -> bool {
        let shared = &self.shared;
        py.detach(|| {
            let queues = shared.queues();
            if shared.woken.load(Ordering::Acquire) {
                return true;
            }
            let timeout = Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
            drop(shared.bell.wait_timeout(queues, timeout));
            shared.woken.load(Ordering::Acquire)
        })
    }

    /// Whether nothing is queued.
    fn is_idle(&self) -> PyResult<bool> {
        runtime::same_process(self.shared.process, "hub")?;
        Ok(self.shared.queues().ready.is_empty())
    }
}
