//! The hub: what Rust threads have to say to one asyncio event loop.
//!
//! Rust threads push plain Rust events and write to one file descriptor, once per batch; the loop
//! then dispatches everything that is queued in one call. No Rust thread holds a Python object or
//! waits for the GIL.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use stapes_core::conversation::Event;
use stapes_core::transport::Streamed;
use stapes_core::transport::websocket::ConnectError;

use crate::dispatch::{Place, Route};
use crate::runtime;
use crate::session::Session;

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
    place: Arc<Place>,
    /// It is in the list of those that have something to say.
    listed: bool,
    too_slow: bool,
}

/// How far words look for later ones that they may go into: whoever is slow must not cost much.
const NEAR: usize = 16;

fn weight(word: &Word) -> usize {
    match word {
        Word::Event(Event::Audio { data, .. }) => data.len(),
        Word::Event(Event::Raw { text } | Event::Outgoing { text }) => text.len(),
        Word::Event(Event::TranscriptDelta { delta, .. }) => delta.len(),
        _ => 0,
    }
}

/// Whether no code of the user's looks at the history when it comes.
fn is_silent((_, word): &(u64, Word)) -> bool {
    matches!(
        word,
        Word::Event(
            Event::HistoryUpdated { .. } | Event::Audio { .. } | Event::TranscriptDelta { .. }
        )
    )
}

fn is_history((_, word): &(u64, Word)) -> bool {
    matches!(word, Word::Event(Event::HistoryUpdated { .. }))
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
            Word::Event(Event::HistoryUpdated { .. }) if !self.place.wants_history() => {
                let since = self
                    .words
                    .iter()
                    .rposition(|word| !is_silent(word))
                    .map_or(0, |at| at + 1);
                if let Some(at) = self.words.iter().skip(since).position(is_history) {
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

    /// Makes room: sound and raw events go, words go into the next words of their part, and of
    /// versions of the history that come one after the other the last stays. Words that nothing takes
    /// up go last.
    fn drop_oldest(&mut self) -> bool {
        let alone =
            |(_, word): &(u64, Word)| matches!(word, Word::Event(Event::TranscriptDelta { .. }));
        let Some(at) = (0..self.words.len())
            .find(|at| self.is_droppable(*at))
            .or_else(|| self.words.iter().position(alone))
        else {
            return false;
        };
        let later = self.taken_up_by(at);
        if let Some((_, word)) = self.words.remove(at) {
            self.bytes -= weight(&word);
            match word {
                Word::Event(Event::Audio { .. }) => self.dropped.audio += 1,
                Word::Event(Event::Raw { .. }) => self.dropped.raw += 1,
                Word::Event(earlier @ Event::TranscriptDelta { .. }) => {
                    let later = later.and_then(|later| self.words.get_mut(later - 1));
                    let taken_up = match later {
                        Some((_, Word::Event(later))) => later.take_up(&earlier),
                        _ => None,
                    };
                    match taken_up {
                        Some(bytes) => self.bytes += bytes,
                        None => self.dropped.transcripts += 1,
                    }
                }
                _ => {}
            }
        }
        true
    }

    fn is_droppable(&self, at: usize) -> bool {
        match &self.words[at].1 {
            Word::Event(Event::Audio { .. } | Event::Raw { .. }) => true,
            Word::Event(Event::TranscriptDelta { .. }) => self.taken_up_by(at).is_some(),
            Word::Event(Event::HistoryUpdated { .. }) => {
                let after = self.words.iter().skip(at + 1);
                after.take_while(|word| is_silent(word)).any(is_history)
            }
            _ => false,
        }
    }

    /// Where the words at `at` may go: the next words of their part, if those are near.
    fn taken_up_by(&self, at: usize) -> Option<usize> {
        let Word::Event(earlier) = &self.words[at].1 else {
            return None;
        };
        let near = (at + 1)..self.words.len().min(at + 1 + NEAR);
        near.into_iter().find(
            |later| matches!(&self.words[*later].1, Word::Event(later) if later.continues(earlier)),
        )
    }
}

/// A session, and its words with their places in its order.
type Taken = (u64, VecDeque<(u64, Word)>);

#[derive(Debug, Default)]
struct Queues {
    sessions: HashMap<u64, SessionQueue>,
    /// Those that have something to say, in the order in which they began to.
    ready: VecDeque<u64>,
    next_id: u64,
}

/// Buffers of sound that have been emptied, the last one first: it is in the processor's cache still.
/// They go from Rust's threads to Python's and back, which allocators do not like.
#[derive(Debug, Default)]
struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    /// How many are kept, and how long they may be: 1 MiB together.
    const MOST: usize = 64;
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

/// The half of the hub that Rust threads hold.
#[derive(Debug)]
pub struct Shared {
    queues: Mutex<Queues>,
    spares: Spares,
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

    pub fn register(&self, limits: QueueLimits, place: Arc<Place>) -> u64 {
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
                place,
                listed: false,
                too_slow: false,
            },
        );
        id
    }

    pub fn unregister(&self, id: u64) {
        self.queues().sessions.remove(&id);
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
            let Some(queue) = queues.sessions.get_mut(&id) else {
                continue;
            };
            queue.listed = false;
            queue.too_slow = false;
            queue.bytes = 0;
            // With its room: what waits for its turn costs nothing while nothing does.
            let mut words = std::mem::take(&mut queue.words);
            let dropped = std::mem::take(&mut queue.dropped);
            if dropped != Dropped::default() {
                let sequence = words.front().map_or(0, |(sequence, _)| *sequence);
                words.push_front((sequence, Word::Lagging(dropped)));
            }
            count += words.len();
            taken.push((id, words));
        }
        let more = !queues.ready.is_empty();
        (taken, more)
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
    routes: Mutex<HashMap<u64, Arc<Route>>>,
}

impl Hub {
    fn routes(&self) -> MutexGuard<'_, HashMap<u64, Arc<Route>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
                spares: Spares::default(),
                woken: AtomicBool::new(false),
                waker,
                bell: Condvar::new(),
                process: runtime::process(),
            }),
            routes: Mutex::default(),
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
        let route = Route::new(Arc::clone(session.place()), dispatcher, listeners)?;
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

    /// Dispatches what is queued, up to about `limit` words, and tells whether that was anything.
    ///
    /// Where the loop is `coming_back` by itself it is not woken by what is pushed meanwhile, unless
    /// more was left than may be dispatched at once. An error is the first that a dispatcher raised;
    /// all others have got their words then.
    #[pyo3(signature = (limit, coming_back=false))]
    fn dispatch(&self, py: Python<'_>, limit: usize, coming_back: bool) -> PyResult<bool> {
        runtime::same_process(self.shared.process, "hub")?;
        // Before the look: whoever pushes from here on wakes the loop again.
        self.shared.woken.store(coming_back, Ordering::Release);
        let (taken, more) = self.shared.take(limit);
        if more {
            self.shared.woken.store(true, Ordering::Release);
            self.shared.ring();
        }
        let found = !taken.is_empty();
        let mut failure = None;
        for (id, words) in taken {
            let Some(route) = self.routes().get(&id).cloned() else {
                continue;
            };
            for (sequence, word) in words {
                if let Err(error) = route.take(py, &self.shared, sequence, word) {
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(found), Err)
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
