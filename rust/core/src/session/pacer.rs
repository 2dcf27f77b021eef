//! Work that is done step by step, each step at its time: one timer for all sessions of a worker.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::transport::timer_grid::TimerGrid;

/// Work in steps, each with a time at which it is due.
pub trait Paced: Send {
    /// Does the next step. Returns when the one after it is due, or `None` after the last.
    fn advance(&mut self, now: Instant) -> Option<Instant>;
}

/// Runs the steps of many works when they are due.
pub struct Pacer {
    runtime: Handle,
    grid: TimerGrid,
    waiting: Mutex<Waiting>,
    added: Notify,
}

#[derive(Default)]
struct Waiting {
    due: BinaryHeap<Reverse<Due>>,
    /// A task waits for the first of them.
    has_task: bool,
    /// Counts what was added: steps that are due at the same time run in that order.
    added: u64,
}

struct Due {
    at: Instant,
    number: u64,
    work: Box<dyn Paced>,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

impl fmt::Debug for Pacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer")
            .field("waiting", &self.waiting().due.len())
            .finish_non_exhaustive()
    }
}

impl Pacer {
    /// Its timer runs on `runtime`, for as long as there is work.
    pub fn new(runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            runtime,
            grid: TimerGrid::shared(),
            waiting: Mutex::default(),
            added: Notify::new(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first step is due at once.
    pub fn add(self: &Arc<Self>, work: impl Paced + 'static) {
        if self.put(Instant::now(), Box::new(work)) {
            self.added.notify_one();
        } else {
            self.runtime.spawn(Arc::clone(self).run());
        }
    }

    /// Returns whether a task waits already.
    fn put(&self, at: Instant, work: Box<dyn Paced>) -> bool {
        let mut waiting = self.waiting();
        waiting.added += 1;
        let number = waiting.added;
        waiting.due.push(Reverse(Due { at, number, work }));
        std::mem::replace(&mut waiting.has_task, true)
    }

    async fn run(self: Arc<Self>) {
        while let Some(next) = self.turn(Instant::now()) {
            // Work that is added meanwhile may be due sooner.
            let _ = timeout_at(self.grid.at_or_after(next), self.added.notified()).await;
        }
    }

    /// Runs the steps that are due. Returns when the next one is, if there is one.
    fn turn(&self, now: Instant) -> Option<Instant> {
        let mut taken = Vec::new();
        let mut waiting = self.waiting();
        while let Some(Reverse(first)) = waiting.due.peek()
            && first.at <= now
            && let Some(Reverse(due)) = waiting.due.pop()
        {
            taken.push(due);
        }
        // A step may wait for the lock of its session: it runs outside this one.
        drop(waiting);
        taken.retain_mut(|due| match due.work.advance(now) {
            Some(at) => {
                due.at = at;
                true
            }
            None => false,
        });
        let mut waiting = self.waiting();
        waiting.due.extend(taken.into_iter().map(Reverse));
        let next = waiting.due.peek().map(|Reverse(due)| due.at);
        waiting.has_task = next.is_some();
        next
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    use super::*;

    type Told = (&'static str, Duration);

    /// Says when it was at its pieces.
    struct Clockwork {
        name: &'static str,
        every: Duration,
        left: usize,
        began: Instant,
        told: UnboundedSender<Told>,
    }

    impl Paced for Clockwork {
        fn advance(&mut self, now: Instant) -> Option<Instant> {
            let _ = self
                .told
                .send((self.name, now.saturating_duration_since(self.began)));
            self.left -= 1;
            (self.left > 0).then(|| now + self.every)
        }
    }

    struct Workshop {
        pacer: Arc<Pacer>,
        /// A point of the timer grid.
        began: Instant,
        told: UnboundedSender<Told>,
        heard: UnboundedReceiver<Told>,
    }

    impl Workshop {
        fn new() -> Self {
            let (told, heard) = unbounded_channel();
            let pacer = Pacer::new(Handle::current());
            Self {
                began: pacer.grid.at_or_after(Instant::now()),
                pacer,
                told,
                heard,
            }
        }

        /// Has so many pieces, one each so many milliseconds.
        fn work(&self, name: &'static str, every: u64, left: usize) -> Clockwork {
            Clockwork {
                name,
                every: Duration::from_millis(every),
                left,
                began: self.began,
                told: self.told.clone(),
            }
        }

        async fn next(&mut self) -> &'static str {
            self.heard.recv().await.map_or("", |(name, _)| name)
        }

        /// Does all that there is, at times of its own; what was done when.
        fn turn_by_hand(&mut self) -> Vec<(&'static str, u128)> {
            let mut now = self.began;
            while let Some(next) = self.pacer.turn(now) {
                assert!(next > now, "it would turn for ever");
                now = self.pacer.grid.at_or_after(next);
            }
            let done = std::iter::from_fn(|| self.heard.try_recv().ok());
            done.map(|(name, at)| (name, at.as_millis())).collect()
        }
    }

    #[tokio::test]
    async fn each_piece_is_done_in_its_time() {
        let mut shop = Workshop::new();
        for work in [shop.work("a", 20, 3), shop.work("b", 30, 2)] {
            shop.pacer.put(shop.began, Box::new(work));
        }
        let done = shop.turn_by_hand();
        assert_eq!(done, [("a", 0), ("b", 0), ("a", 20), ("b", 30), ("a", 40)]);
        assert!(!shop.pacer.waiting().has_task, "a task waits for nothing");
    }

    #[tokio::test]
    async fn what_falls_due_between_two_points_of_the_grid_is_done_at_one_turn() {
        let mut shop = Workshop::new();
        for work in [("a", 11), ("b", 12), ("c", 14)].map(|(name, every)| shop.work(name, every, 2))
        {
            shop.pacer.put(shop.began, Box::new(work));
        }
        let done = shop.turn_by_hand();
        assert_eq!(done[3..], [("a", 20), ("b", 20), ("c", 20)]);
    }

    #[tokio::test]
    async fn it_runs_by_itself_again_and_again() {
        let mut shop = Workshop::new();
        shop.pacer.add(shop.work("a", 10, 2));
        assert_eq!([shop.next().await, shop.next().await], ["a", "a"]);
        // Nothing is left, until there is something again; what comes meanwhile is not forgotten.
        shop.pacer.add(shop.work("b", 60_000, 2));
        assert_eq!(shop.next().await, "b");
        shop.pacer.add(shop.work("c", 10, 1));
        assert_eq!(shop.next().await, "c");
    }
}
