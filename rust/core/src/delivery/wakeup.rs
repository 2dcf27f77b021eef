//! When a thread that enqueues messages wakes the threads that read them.
//!
//! To wake a thread costs many times what it costs to read a message, and on one core it takes the core
//! away from the thread that still enqueues. So a reader is woken when the writer has nothing more to do
//! for now; and where that comes often, as with hundreds of sessions, every [`PAUSE`] at most.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker as TaskWaker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The least time between two wake-ups where they come often.
const PAUSE: Duration = Duration::from_millis(2);
/// So many wake-ups in a row with less than [`PAUSE`] between them are often. Most bursts end before.
const RAPID_WAKES: u32 = 16;
/// So many messages may be enqueued while a wake-up waits.
const MAX_ENQUEUED: usize = 16;
/// A reader that has read what it was given the core for gives it back sooner than this.
const LONG_YIELD: Duration = Duration::from_millis(1);
/// For so long no reader is given the core after it has kept it: it does more than read. A scheduler may
/// take a whole slice of time from a thread for each time that it yields (Linux does from 6.18 on), and
/// the sound of all calls waits meanwhile.
const NO_YIELDS: Duration = Duration::from_millis(100);

/// Wakes another thread.
pub trait Waker: Send + Sync {
    fn wake(&self);
}

/// The wake-ups that one thread has still to make.
///
/// A worker thread makes them when it parks, or late: see [`WakeBatcher::install`]. The thread of an event
/// loop that runs its sessions itself ([`WakeBatcher::run`]) is the reader of its own messages.
#[derive(Default)]
pub struct WakeBatcher {
    pending: Vec<Arc<dyn Waker>>,
    /// Asks for a late wake-up. Without it, this thread reads what it enqueues.
    late: Option<Arc<Notify>>,
    is_late: bool,
    enqueued: usize,
    /// Until then no reader is given the core.
    keeps_core_until: Option<Instant>,
    last_wake: Option<Instant>,
    rapid_wakes: u32,
}

thread_local! {
    /// Only threads that run sessions have one.
    static BATCHER: RefCell<Option<WakeBatcher>> = const { RefCell::new(None) };
}

impl fmt::Debug for WakeBatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakeBatcher")
            .field("pending", &self.pending.len())
            .field("enqueued", &self.enqueued)
            .finish_non_exhaustive()
    }
}

impl WakeBatcher {
    fn of_worker(late: Arc<Notify>) -> Self {
        Self {
            late: Some(late),
            ..Self::default()
        }
    }

    /// Batches the wake-ups of this worker thread from now on. Its runtime has to call [`on_park`] when it
    /// parks the thread, and to run the future, which makes late wake-ups.
    pub fn install() -> impl Future<Output = ()> {
        let late = Arc::new(Notify::new());
        BATCHER.set(Some(Self::of_worker(Arc::clone(&late))));
        wake_late(late, || tokio::time::sleep(PAUSE))
    }

    /// Runs `act` with the wake-ups of this thread batched, on a runtime that calls [`on_park`]. At the end
    /// all that are pending are made.
    pub fn run<T>(&mut self, act: impl FnOnce() -> T) -> T {
        BATCHER.set(Some(std::mem::take(self)));
        let done = act();
        *self = BATCHER.take().unwrap_or_default();
        self.wake_all(Instant::now());
        self.enqueued = 0;
        done
    }

    fn reads_itself(&self) -> bool {
        self.late.is_none()
    }

    /// The thread has nothing more to do for now.
    fn parks(&mut self, now: Instant) {
        if self.pending.is_empty() {
            return;
        }
        let too_soon = self.last_wake.is_some_and(|last| now < last + PAUSE);
        match &self.late {
            Some(late) if self.rapid_wakes >= RAPID_WAKES && too_soon => {
                if !self.is_late {
                    self.is_late = true;
                    late.notify_one();
                }
            }
            _ => self.wake_all(now),
        }
    }

    /// Counts a message; the time now if the thread should give the core to its reader.
    fn enqueued(&mut self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        self.enqueued += 1;
        if self.enqueued < MAX_ENQUEUED {
            return None;
        }
        let now = now();
        self.wake_all(now);
        let keeps_core = self.keeps_core_until.is_some_and(|until| now < until);
        (!keeps_core && !self.reads_itself()).then_some(now)
    }

    /// The thread has the core again that it gave to its reader at `begun`.
    fn has_core_again(&mut self, begun: Instant, now: Instant) {
        let is_long = now.saturating_duration_since(begun) > LONG_YIELD;
        self.keeps_core_until = is_long.then(|| now + NO_YIELDS);
    }

    fn wake_all(&mut self, now: Instant) {
        self.is_late = false;
        if !self.reads_itself() {
            self.enqueued = 0;
        }
        if self.pending.is_empty() {
            return;
        }
        let since = self
            .last_wake
            .map_or(Duration::MAX, |last| now.saturating_duration_since(last));
        if since < PAUSE {
            self.rapid_wakes = (self.rapid_wakes + 1).min(RAPID_WAKES);
        } else if since > 2 * PAUSE {
            self.rapid_wakes = 0;
        }
        self.last_wake = Some(now);
        for waker in self.pending.drain(..) {
            waker.wake();
        }
    }
}

async fn wake_late<F: Future<Output = ()>>(asked: Arc<Notify>, pause: impl Fn() -> F) {
    loop {
        asked.notified().await;
        pause().await;
        with_batcher(|batcher| batcher.wake_all(Instant::now()));
    }
}

fn with_batcher<T>(act: impl FnOnce(&mut WakeBatcher) -> T) -> Option<T> {
    BATCHER.with_borrow_mut(|batcher| batcher.as_mut().map(act))
}

/// Wakes soon; at once on a thread that batches nothing.
pub fn wake_soon<W: Waker + 'static>(waker: &Arc<W>) {
    let is_batched =
        with_batcher(|batcher| batcher.pending.push(Arc::clone(waker) as Arc<dyn Waker>));
    if is_batched.is_none() {
        waker.wake();
    }
}

/// A message was enqueued for a reader whose wake-up may be pending. After many of them the reader goes
/// first if it shares this core: it reads at less cost what is in the cache still.
pub fn note_enqueued() {
    let yields = with_batcher(|batcher| batcher.enqueued(Instant::now)).flatten();
    if let Some(begun) = yields {
        thread::yield_now();
        with_batcher(|batcher| batcher.has_core_again(begun, Instant::now()));
    }
}

/// Whether this thread has enqueued so much that it should stop and read: nobody else reads it.
pub fn should_yield() -> bool {
    with_batcher(|batcher| batcher.reads_itself() && batcher.enqueued >= MAX_ENQUEUED) == Some(true)
}

/// This thread has nothing more to do for now.
pub fn on_park() {
    with_batcher(|batcher| {
        if !batcher.pending.is_empty() {
            batcher.parks(Instant::now());
        }
    });
}

/// Ends the wait of an event loop that runs its sessions itself, from any thread.
#[derive(Debug, Default)]
pub struct LoopWaker {
    is_woken: AtomicBool,
    waiting: Mutex<Option<TaskWaker>>,
}

impl LoopWaker {
    fn waiting(&self) -> MutexGuard<'_, Option<TaskWaker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody has woken it; who does so later wakes the task of `context`.
    pub fn is_woken(&self, context: &Context<'_>) -> bool {
        // Before the flag is read: who sets it from here on finds the task.
        self.waiting()
            .get_or_insert_with(|| context.waker().clone());
        self.is_woken.load(Ordering::Acquire)
    }

    /// Ends the wait; whether somebody has woken it.
    pub fn reset(&self) -> bool {
        self.waiting().take();
        self.is_woken.swap(false, Ordering::AcqRel)
    }
}

impl Waker for LoopWaker {
    fn wake(&self) {
        self.is_woken.store(true, Ordering::Release);
        if let Some(waker) = self.waiting().take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Counter {
        fn count(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Waker for Counter {
        fn wake(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn batcher_for(counter: &Arc<Counter>) -> WakeBatcher {
        let mut batcher = WakeBatcher::of_worker(Arc::default());
        batcher.pending.push(Arc::clone(counter) as Arc<dyn Waker>);
        batcher
    }

    /// How many wake-ups there are when a message is enqueued at these times and the thread parks then.
    fn wakes(times: impl Iterator<Item = Duration>) -> usize {
        let (counter, begin) = (Arc::new(Counter::default()), Instant::now());
        let mut batcher = WakeBatcher::of_worker(Arc::default());
        for time in times {
            if batcher.pending.is_empty() {
                batcher.pending.push(Arc::clone(&counter) as Arc<dyn Waker>);
            }
            batcher.parks(begin + time);
        }
        counter.count()
    }

    const fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    #[test]
    fn single_messages_wake_at_once() {
        assert_eq!(wakes((0..100).map(|n| us(2_500 * n))), 100);
    }

    #[test]
    fn short_bursts_wake_at_once() {
        let bursts = (0..20).flat_map(|burst| (0..10).map(move |n| us(5_000 * burst + 50 * n)));
        assert_eq!(wakes(bursts), 200);
    }

    #[test]
    fn a_steady_stream_wakes_every_pause() {
        let second = (0..5_000).map(|n| us(200 * n));
        assert_eq!(wakes(second), RAPID_WAKES as usize + 499);
    }

    #[test]
    fn a_stream_that_pauses_wakes_at_once_again() {
        let stream = (0..100).map(|n| us(200 * n));
        let long = wakes(stream.clone());
        let again = (0..10).map(|n| us(30_000 + 200 * n));
        assert_eq!(wakes(stream.chain(again)), long + 10);
    }

    #[test]
    fn many_messages_wake_before_the_thread_parks() {
        let counter = Arc::new(Counter::default());
        let mut batcher = batcher_for(&counter);
        let now = Instant::now();
        for _ in 1..MAX_ENQUEUED {
            assert_eq!(batcher.enqueued(|| now), None);
        }
        assert_eq!(counter.count(), 0);
        let yields = batcher.enqueued(|| now);
        assert_eq!(yields, Some(now), "its reader is to have the core");
        assert_eq!(counter.count(), 1);
        assert_eq!(batcher.enqueued(|| now), None, "the count begins again");
    }

    #[test]
    fn a_reader_that_keeps_the_core_is_not_given_it_for_a_while() {
        let (mut batcher, begin) = (WakeBatcher::of_worker(Arc::default()), Instant::now());
        let mut yields_at = |time: Duration, lasts: Duration| {
            let now = begin + time;
            let yields = (0..MAX_ENQUEUED).filter_map(|_| batcher.enqueued(|| now));
            let yielded = yields.last();
            if let Some(begun) = yielded {
                batcher.has_core_again(begun, begun + lasts);
            }
            yielded.is_some()
        };
        assert!(yields_at(us(0), us(200)));
        assert!(yields_at(us(500), us(5_000)), "the one before was short");
        assert!(!yields_at(us(6_000), us(0)));
        assert!(!yields_at(us(105_000), us(0)));
        assert!(yields_at(us(106_000), us(100)));
        assert!(yields_at(us(107_000), us(100)));
    }

    #[test]
    fn a_late_wake_up_is_asked_for_once() {
        let counter = Arc::new(Counter::default());
        let mut batcher = batcher_for(&counter);
        let (late, now) = (Arc::new(Notify::new()), Instant::now());
        batcher.late = Some(Arc::clone(&late));
        batcher.rapid_wakes = RAPID_WAKES;
        batcher.last_wake = Some(now);
        batcher.parks(now + PAUSE / 2);
        assert_eq!(late.notified().now_or_never(), Some(()));
        batcher.parks(now + PAUSE / 2);
        assert_eq!(late.notified().now_or_never(), None);
        assert_eq!(counter.count(), 0);
        batcher.wake_all(now + PAUSE);
        assert_eq!(counter.count(), 1);
        // It is in time for the next.
        batcher.pending.push(Arc::clone(&counter) as Arc<dyn Waker>);
        batcher.parks(now + 2 * PAUSE);
        assert_eq!(counter.count(), 2);
    }

    #[test]
    fn a_late_wake_up_comes_after_the_pause() {
        let counter = Arc::new(Counter::default());
        let (asked, paused) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        BATCHER.set(Some(batcher_for(&counter)));
        let mut late = Box::pin(wake_late(Arc::clone(&asked), || {
            let paused = Arc::clone(&paused);
            async move { paused.notified().await }
        }));
        assert_eq!(late.as_mut().now_or_never(), None);
        asked.notify_one();
        assert_eq!(late.as_mut().now_or_never(), None);
        assert_eq!(counter.count(), 0);
        paused.notify_one();
        assert_eq!(late.as_mut().now_or_never(), None);
        assert_eq!(counter.count(), 1);
        BATCHER.set(None);
    }

    #[test]
    fn a_loop_wakes_whenever_it_parks_and_yields_when_it_has_enqueued_much() {
        let counter = Arc::new(Counter::default());
        let mut batcher = WakeBatcher::default();
        batcher.run(|| {
            for parked in 0..100 {
                wake_soon(&counter);
                assert_eq!(counter.count(), parked);
                on_park();
            }
            assert_eq!(counter.count(), 100);
            wake_soon(&counter);
            assert_eq!(counter.count(), 100);
        });
        assert_eq!(counter.count(), 101);
        assert!(!should_yield());
        batcher.run(|| {
            for _ in 0..MAX_ENQUEUED {
                assert!(!should_yield());
                note_enqueued();
            }
            assert!(should_yield());
            on_park();
            assert!(should_yield());
        });
        // At other times this thread batches nothing.
        assert!(!should_yield());
        wake_soon(&counter);
        assert_eq!(counter.count(), 102);
    }

    #[test]
    fn a_thread_that_runs_no_sessions_wakes_at_once() {
        let counter = Arc::new(Counter::default());
        wake_soon(&counter);
        assert_eq!(counter.count(), 1);
    }

    #[test]
    fn a_loop_that_waits_is_woken_and_one_that_comes_to_wait_finds_the_wake_up() {
        let waker = LoopWaker::default();
        let context = Context::from_waker(TaskWaker::noop());
        assert!(!waker.is_woken(&context));
        waker.wake();
        assert!(waker.is_woken(&context));
        assert!(waker.reset());
        assert!(!waker.is_woken(&context));
        assert!(!waker.reset());
    }
}
