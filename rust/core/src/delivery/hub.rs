//! Messages of many sessions for one reader thread.
//!
//! Rust threads push messages, and wake the reader once for each batch; the reader then takes all that is
//! queued in one call. No writer waits for the reader.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::cursor::DispatchCursor;
use super::logging::LogReader;
use super::message::{DropPolicy, Message};
use super::process::{Forked, Process, duplicate};
use super::queue::{Messages, Queue, QueueSettings};
use super::wakeup::{self, LoopWaker, Waker};
use crate::buffer_pool::BufferPool;

/// Messages that are taken at once.
const BATCH: usize = 128;

/// How long messages are dispatched before the reader gets to do something else. What a batch costs
/// depends on the user's callbacks.
const LONGEST: Duration = Duration::from_millis(5);

/// Bounds on the storage of queues that is kept for reuse, in messages: most sessions have few at once.
const MAX_SPARE_QUEUES: usize = 32;
const MAX_SPARE_MESSAGES: usize = 16;
/// Bounds on the audio buffers that are kept for reuse: half a MiB together.
const MAX_SPARE_AUDIO: usize = 32;
const MAX_SPARE_BYTES: usize = 16 * 1024;

/// How the reader is woken.
#[derive(Debug)]
pub enum WakeBy {
    /// It watches one end of a pipe or an eventfd; a write to the other end wakes it.
    Descriptor { watched: File, waker: File },
    /// It runs its sessions itself.
    Loop(Arc<LoopWaker>),
    /// A thread waits in [`Hub::wait`] for a reader that watches no descriptors.
    Thread(Condvar),
}

impl WakeBy {
    /// By duplicates of these ends, which must not block.
    pub fn descriptors(watched: RawFd, waker: RawFd) -> io::Result<Self> {
        Ok(Self::Descriptor {
            watched: duplicate(watched)?,
            waker: duplicate(waker)?,
        })
    }

    pub fn thread() -> Self {
        Self::Thread(Condvar::new())
    }
}

#[derive(Debug)]
struct Session<M> {
    queue: Queue<M>,
    cursor: Arc<DispatchCursor>,
    /// It stands in the list of those that have messages.
    is_ready: bool,
}

struct Sessions<M> {
    by_id: HashMap<u64, Session<M>>,
    /// Those that have messages, in the order in which they got their first one.
    ready: VecDeque<u64>,
    /// Storage of queues: it goes from the writers to the reader and back.
    spare_queues: BufferPool<Messages<M>>,
    next_id: u64,
}

/// Messages that are taken together, by session.
pub type Batch<M> = Vec<(u64, Messages<M>)>;

/// The half of a hub that writers and the reader share.
pub struct Hub<M> {
    sessions: Mutex<Sessions<M>>,
    audio: Mutex<BufferPool<Vec<u8>>>,
    /// The reader has been woken and has not taken its messages yet.
    is_woken: AtomicBool,
    wake_by: WakeBy,
    process: Process,
}

impl<M> fmt::Debug for Hub<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("wake_by", &self.wake_by)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M: Message> Hub<M> {
    pub fn new(wake_by: WakeBy) -> Self {
        Self {
            sessions: Mutex::new(Sessions {
                by_id: HashMap::new(),
                ready: VecDeque::new(),
                spare_queues: BufferPool::new(MAX_SPARE_QUEUES, MAX_SPARE_MESSAGES),
                next_id: 0,
            }),
            audio: Mutex::new(BufferPool::new(MAX_SPARE_AUDIO, MAX_SPARE_BYTES)),
            is_woken: AtomicBool::new(false),
            wake_by,
            process: Process::current(),
        }
    }

    /// Refuses to be used in a child of the process that made it.
    pub fn check_process(&self) -> Result<(), Forked> {
        self.process.check("hub")
    }

    /// Adds a session; its id.
    pub fn register(&self, settings: QueueSettings, cursor: Arc<DispatchCursor>) -> u64 {
        let mut sessions = lock(&self.sessions);
        sessions.next_id += 1;
        let id = sessions.next_id;
        let session = Session {
            queue: Queue::new(settings),
            cursor,
            is_ready: false,
        };
        sessions.by_id.insert(id, session);
        id
    }

    pub fn unregister(&self, id: u64) {
        let removed = lock(&self.sessions).by_id.remove(&id);
        drop(removed);
    }

    /// Queues a message; false where more waits for the session than may. It does not wake the reader.
    pub fn push(&self, id: u64, sequence: u64, message: M) -> bool {
        let mut sessions = lock(&self.sessions);
        let Sessions {
            by_id,
            ready,
            spare_queues,
            ..
        } = &mut *sessions;
        let Some(session) = by_id.get_mut(&id) else {
            return true;
        };
        if session.queue.is_without_storage() {
            session.queue.adopt(spare_queues.acquire());
        }
        if message.policy() == DropPolicy::Version && !session.cursor.wants_versions() {
            session.queue.drop_superseded();
        }
        let has_room = session.queue.push(sequence, message);
        if !session.is_ready {
            session.is_ready = true;
            ready.push_back(id);
        }
        has_room
    }

    /// Whether no message waits.
    pub fn is_idle(&self) -> bool {
        lock(&self.sessions).ready.is_empty()
    }

    /// An empty buffer for audio.
    pub fn acquire_audio(&self) -> Vec<u8> {
        lock(&self.audio).acquire()
    }

    /// Takes the buffer of a message back that has been dispatched.
    pub fn release_audio(&self, buffer: Vec<u8>) {
        // One that is not kept is freed outside of the lock.
        if buffer.capacity() <= MAX_SPARE_BYTES {
            lock(&self.audio).release(buffer);
        }
    }

    /// Takes back the storage of messages that have been dispatched.
    pub fn release(&self, batch: Batch<M>) {
        let mut sessions = lock(&self.sessions);
        for (_, messages) in batch {
            sessions.spare_queues.release(messages);
        }
    }

    fn take_up_to(&self, limit: usize) -> (Batch<M>, bool) {
        let mut batch = Vec::new();
        let mut count = 0;
        let mut sessions = lock(&self.sessions);
        while count < limit {
            let Some(id) = sessions.ready.pop_front() else {
                break;
            };
            if let Some(session) = sessions.by_id.get_mut(&id) {
                let messages = session.queue.take_front(limit - count);
                count += messages.len();
                batch.push((id, messages));
                session.is_ready = !session.queue.is_empty();
                if session.is_ready {
                    sessions.ready.push_back(id);
                }
            }
        }
        let is_more = !sessions.ready.is_empty();
        (batch, is_more)
    }

    /// Takes messages, session by session, up to about `limit`. Where more are left the reader is woken
    /// again.
    pub fn take(&self, limit: usize) -> Batch<M> {
        // Before the queues are read: who pushes from here on wakes the reader again.
        self.is_woken.store(false, Ordering::Release);
        let (batch, is_more) = self.take_up_to(limit);
        if is_more {
            self.is_woken.store(true, Ordering::Release);
            self.wake_now();
        }
        batch
    }

    /// Dispatches what waits, for [`LONGEST`] at most; where more is left, the reader is woken again.
    /// Messages of a session without a route are dropped.
    pub fn drain<R>(&self, route: impl Fn(u64) -> Option<R>, mut dispatch: impl FnMut(&R, u64, M)) {
        let until = Instant::now() + LONGEST;
        loop {
            let mut batch = self.take(BATCH);
            let mut count = 0;
            for (id, messages) in &mut batch {
                let route = route(*id);
                count += messages.len();
                for (sequence, message) in messages.drain(..) {
                    if let Some(route) = &route {
                        dispatch(route, sequence, message);
                    }
                }
            }
            self.release(batch);
            if count < BATCH {
                return;
            }
            // The reader lags. Where it shares a core with the threads that carry sound, they go first.
            thread::yield_now();
            if Instant::now() >= until {
                return;
            }
        }
    }

    /// Reads away what was written to the descriptor to wake the reader.
    pub fn clear_descriptor(&self) {
        if let WakeBy::Descriptor { watched, .. } = &self.wake_by {
            // There is nothing to be read where somebody else has done so.
            drop((&*watched).read(&mut [0; 64]));
        }
    }

    /// Waits on a thread of its own until there are messages; false after `timeout` without any.
    pub fn wait(&self, timeout: Duration) -> bool {
        let WakeBy::Thread(condition) = &self.wake_by else {
            return false;
        };
        let sessions = lock(&self.sessions);
        if self.is_woken.load(Ordering::Acquire) {
            return true;
        }
        drop(condition.wait_timeout(sessions, timeout));
        self.is_woken.load(Ordering::Acquire)
    }

    fn wake_now(&self) {
        match &self.wake_by {
            // A full pipe wakes as well as a write would.
            WakeBy::Descriptor { waker, .. } => drop((&*waker).write(&1u64.to_ne_bytes())),
            WakeBy::Loop(waker) => waker.wake(),
            WakeBy::Thread(condition) => {
                let _sessions = lock(&self.sessions);
                condition.notify_all();
            }
        }
    }
}

impl<M: Message + Send + 'static> Hub<M> {
    /// Wakes the reader soon, unless it has been woken already.
    pub fn notify(self: &Arc<Self>) {
        if self.is_woken.swap(true, Ordering::AcqRel) {
            wakeup::note_enqueued();
        } else {
            wakeup::wake_soon(self);
        }
    }
}

impl<M: Message + Send + 'static> LogReader for Hub<M> {
    fn records_wait(self: Arc<Self>) {
        self.notify();
    }
}

impl<M: Message + Send> Waker for Hub<M> {
    fn wake(&self) {
        self.wake_now();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::thread;

    use super::super::message::Dropped;
    use super::super::queue::PastBound;
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    enum TestMessage {
        Number(u32),
        Version,
        Other,
    }

    impl Message for TestMessage {
        fn policy(&self) -> DropPolicy {
            match self {
                Self::Version => DropPolicy::Version,
                _ => DropPolicy::Keep,
            }
        }

        fn size(&self) -> usize {
            0
        }

        fn observes_version(&self) -> bool {
            *self != Self::Version
        }

        fn purges(&self, _: &Self) -> bool {
            false
        }

        fn continues(&self, _: &Self) -> bool {
            false
        }

        fn prepend(&mut self, _: Self) {}

        fn lagging(_: Dropped) -> Self {
            Self::Other
        }

        fn too_slow(_: usize) -> Self {
            Self::Other
        }
    }

    const SETTINGS: QueueSettings = QueueSettings {
        max_messages: 1_000,
        max_bytes: 1_000,
        past_bound: PastBound::Report,
        tells: true,
    };

    fn hub(sessions: u64) -> Arc<Hub<TestMessage>> {
        let hub = Arc::new(Hub::new(WakeBy::thread()));
        for id in 1..=sessions {
            assert_eq!(hub.register(SETTINGS, Arc::default()), id);
        }
        hub
    }

    fn ids(batch: &Batch<TestMessage>) -> Vec<(u64, usize)> {
        batch.iter().map(|(id, m)| (*id, m.len())).collect()
    }

    #[test]
    fn a_session_that_is_loud_keeps_no_other_waiting() {
        let hub = hub(3);
        hub.push(2, 1, TestMessage::Number(0));
        for number in 0..10 {
            hub.push(1, 1, TestMessage::Number(number));
        }
        hub.push(3, 1, TestMessage::Number(0));
        assert_eq!(ids(&hub.take(2)), [(2, 1), (1, 1)]);
        // Whatever the loud one pushes now comes behind those that wait.
        hub.push(1, 2, TestMessage::Number(0));
        hub.push(2, 2, TestMessage::Number(0));
        assert_eq!(ids(&hub.take(1)), [(3, 1)]);
        assert_eq!(ids(&hub.take(5)), [(1, 5)]);
        assert_eq!(ids(&hub.take(10)), [(2, 1), (1, 5)]);
        assert!(hub.is_idle());
    }

    #[test]
    fn a_reader_that_leaves_messages_is_woken_again() {
        let hub = hub(2);
        hub.push(1, 1, TestMessage::Number(0));
        hub.push(2, 1, TestMessage::Number(0));
        hub.notify();
        assert!(hub.wait(Duration::ZERO));
        hub.take(1);
        assert!(hub.wait(Duration::ZERO));
        hub.take(1);
        assert!(!hub.wait(Duration::ZERO));
    }

    #[test]
    fn a_reader_that_waits_is_woken_by_another_thread() {
        let hub = hub(1);
        let writer = thread::spawn({
            let hub = Arc::clone(&hub);
            move || {
                hub.push(1, 1, TestMessage::Number(7));
                hub.notify();
            }
        });
        while !hub.wait(Duration::from_secs(60)) {}
        assert_eq!(
            hub.take(10),
            [(1, Messages::from([(1, TestMessage::Number(7))]))]
        );
        writer.join().expect("it has pushed");
    }

    #[test]
    fn a_write_to_the_descriptor_wakes_once_for_a_batch() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let descriptors = [reader.as_raw_fd(), writer.as_raw_fd()];
        let wake_by = WakeBy::descriptors(descriptors[0], descriptors[1]).expect("descriptors");
        let hub = Arc::new(Hub::new(wake_by));
        let id = hub.register(SETTINGS, Arc::default());
        for number in 0..3 {
            hub.push(id, 1, TestMessage::Number(number));
            hub.notify();
        }
        let mut read = [0; 64];
        assert_eq!((&reader).read(&mut read).ok(), Some(8));
        assert_eq!(ids(&hub.take(10)), [(id, 3)]);
    }

    #[test]
    fn a_session_that_is_gone_has_no_messages() {
        let hub = hub(2);
        hub.push(1, 1, TestMessage::Number(0));
        hub.unregister(1);
        assert!(hub.push(1, 2, TestMessage::Number(0)));
        assert!(hub.take(10).is_empty());
    }

    #[test]
    fn versions_wait_one_by_one_only_for_a_reader_that_wants_them() {
        let hub = hub(1);
        let cursor = Arc::new(DispatchCursor::default());
        let id = hub.register(SETTINGS, Arc::clone(&cursor));
        for (wanted, left) in [(false, 1), (true, 3)] {
            cursor.want_versions(wanted);
            for _ in 0..3 {
                hub.push(id, 1, TestMessage::Version);
            }
            assert_eq!(ids(&hub.take(10)), [(id, left)]);
        }
    }

    #[test]
    fn storage_goes_back_to_the_writers() {
        let hub = hub(2);
        hub.push(1, 1, TestMessage::Number(0));
        let mut batch = hub.take(10);
        batch[0].1.clear();
        let storage = batch[0].1.capacity();
        hub.release(batch);
        hub.push(2, 1, TestMessage::Number(0));
        assert_eq!(hub.take(10)[0].1.capacity(), storage);
    }

    #[test]
    fn audio_buffers_are_used_again_unless_they_are_long() {
        let hub = hub(0);
        hub.release_audio(vec![1; MAX_SPARE_BYTES + 1]);
        assert_eq!(hub.acquire_audio().capacity(), 0);
        hub.release_audio(vec![1; 100]);
        let buffer = hub.acquire_audio();
        assert!(buffer.is_empty() && buffer.capacity() >= 100);
    }
}
