//! When a thread that carries sessions wakes the threads that it has something to say to.
//!
//! To wake a thread costs many times what is then said to it, and on one core it takes the core away
//! from who still speaks. So a bell is rung when its ringer has nothing more to do for now; and where
//! that comes often, as with hundreds of sessions, it is rung every `PAUSE` at most.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The least time between two rings where they come often.
const PAUSE: Duration = Duration::from_millis(2);
/// So many rings that came sooner after each other are often. Most bursts end before.
const OFTEN: u32 = 16;
/// So much may be said before a bell is rung that waits.
const SAID_AT_ONCE: usize = 16;

/// What wakes another thread.
pub trait Bell: Send + Sync {
    fn ring(&self);
}

/// The bells that a thread is to ring.
struct Bells {
    waiting: Vec<Arc<dyn Bell>>,
    /// They wake no other thread, which is what costs.
    hears_itself: bool,
    said: usize,
    rung: Option<Instant>,
    soon_after: u32,
    /// [`ring_late`] has been asked to ring.
    is_late: bool,
    late: Arc<Notify>,
}

thread_local! {
    /// Other threads than those that carry sessions have none.
    static BELLS: RefCell<Option<Bells>> = const { RefCell::new(None) };
}

/// Makes this thread a ringer. Its runtime is to call [`at_rest`] when it parks the thread, and what is
/// given back is to run on it.
pub fn ringer() -> impl Future<Output = ()> {
    let late = Arc::new(Notify::new());
    BELLS.set(Some(Bells::new(Arc::clone(&late), false)));
    ring_late(late)
}

/// The bells of a thread that carries sessions at times, and at others hears what it said itself.
pub struct Shift(Option<Bells>);

impl Default for Shift {
    fn default() -> Self {
        Self(Some(Bells::new(Arc::default(), true)))
    }
}

impl Shift {
    /// Does that as a ringer, on a runtime that calls [`at_rest`]. At the end it rings whatever waits.
    pub fn work<T>(&mut self, act: impl FnOnce() -> T) -> T {
        BELLS.set(self.0.take());
        let done = act();
        self.0 = BELLS.take();
        if let Some(bells) = &mut self.0 {
            bells.ring(Instant::now());
            bells.said = 0;
        }
        done
    }
}

impl fmt::Debug for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shift").finish_non_exhaustive()
    }
}

async fn ring_late(asked: Arc<Notify>) {
    loop {
        asked.notified().await;
        tokio::time::sleep(PAUSE).await;
        mine(|bells| bells.ring(Instant::now()));
    }
}

fn mine<T>(act: impl FnOnce(&mut Bells) -> T) -> Option<T> {
    BELLS.with_borrow_mut(|bells| bells.as_mut().map(act))
}

/// Rings before long; at once on a thread that is no ringer.
pub fn ring<B: Bell + 'static>(bell: &Arc<B>) {
    let waits = mine(|bells| bells.waiting.push(Arc::clone(bell) as Arc<dyn Bell>));
    if waits.is_none() {
        bell.ring();
    }
}

/// Something more has been said to a thread whose bell may wait to be rung. Where that is much, whoever is
/// to hear it goes first if it shares this core: what is read while it is in the cache costs less.
pub fn has_said() {
    let gives_way = mine(|bells| {
        bells.said += 1;
        if bells.said < SAID_AT_ONCE {
            return false;
        }
        bells.ring(Instant::now());
        !bells.hears_itself
    });
    if gives_way == Some(true) {
        thread::yield_now();
    }
}

/// Whether this thread has said so much that it should hear that first, and read nothing more: nobody else
/// hears it meanwhile.
pub fn is_to_listen() -> bool {
    mine(|bells| bells.hears_itself && bells.said >= SAID_AT_ONCE) == Some(true)
}

/// This thread has nothing more to do for now.
pub fn at_rest() {
    mine(|bells| {
        if !bells.waiting.is_empty() {
            bells.at_rest(Instant::now());
        }
    });
}

impl Bells {
    fn new(late: Arc<Notify>, hears_itself: bool) -> Self {
        Self {
            waiting: Vec::new(),
            hears_itself,
            said: 0,
            rung: None,
            soon_after: 0,
            is_late: false,
            late,
        }
    }

    fn at_rest(&mut self, now: Instant) {
        let too_soon = self.rung.is_some_and(|rung| now < rung + PAUSE);
        if self.hears_itself || self.soon_after < OFTEN || !too_soon {
            self.ring(now);
        } else if !self.is_late {
            self.is_late = true;
            self.late.notify_one();
        }
    }

    fn ring(&mut self, now: Instant) {
        self.is_late = false;
        if !self.hears_itself {
            self.said = 0;
        }
        if self.waiting.is_empty() {
            return;
        }
        let since = self.rung.map_or(Duration::MAX, |rung| now - rung);
        if since < PAUSE {
            self.soon_after = (self.soon_after + 1).min(OFTEN);
        } else if since > 2 * PAUSE {
            self.soon_after = 0;
        }
        self.rung = Some(now);
        for bell in self.waiting.drain(..) {
            bell.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Bell for Counted {
        fn ring(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often it rings when something is said at these times, each followed by rest.
    fn rings(times: impl Iterator<Item = Duration>) -> usize {
        let (bell, begin) = (Arc::new(Counted::default()), Instant::now());
        let mut bells = Bells::new(Arc::default(), false);
        for time in times {
            if bells.waiting.is_empty() {
                bells.waiting.push(Arc::clone(&bell) as Arc<dyn Bell>);
            }
            bells.at_rest(begin + time);
        }
        bell.0.load(Ordering::Relaxed)
    }

    const fn us(n: u64) -> Duration {
        Duration::from_micros(n)
    }

    #[test]
    fn what_is_said_now_and_then_rings_at_once() {
        assert_eq!(rings((0..100).map(|n| us(2_500 * n))), 100);
    }

    #[test]
    fn short_bursts_ring_at_once() {
        let bursts = (0..20).flat_map(|burst| (0..10).map(move |n| us(5_000 * burst + 50 * n)));
        assert_eq!(rings(bursts), 200);
    }

    #[test]
    fn what_is_said_all_the_time_rings_every_pause() {
        let second = (0..5_000).map(|n| us(200 * n));
        assert_eq!(rings(second), OFTEN as usize + 499);
    }

    #[test]
    fn who_hears_itself_rings_whenever_it_rests_and_listens_when_it_has_said_much() {
        let bell = Arc::new(Counted::default());
        let rung = || bell.0.load(Ordering::Relaxed);
        let mut shift = Shift::default();
        shift.work(|| {
            for rests in 0..100 {
                ring(&bell);
                assert_eq!(rung(), rests);
                at_rest();
            }
            assert_eq!(rung(), 100);
            ring(&bell);
            assert_eq!(rung(), 100);
        });
        assert_eq!(rung(), 101);
        assert!(!is_to_listen());
        shift.work(|| {
            for _ in 0..SAID_AT_ONCE {
                assert!(!is_to_listen());
                has_said();
            }
            assert!(is_to_listen());
            at_rest();
            assert!(is_to_listen());
        });
        // At other times it is no ringer.
        assert!(!is_to_listen());
        ring(&bell);
        assert_eq!(rung(), 102);
    }

    #[test]
    fn a_thread_that_carries_no_sessions_rings_at_once() {
        let bell = Arc::new(Counted::default());
        ring(&bell);
        assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_bell_that_came_too_soon_is_rung_late() {
        let bell = Arc::new(Counted::default());
        let late = tokio::spawn(ringer());
        tokio::task::yield_now().await;
        mine(|bells| {
            bells.soon_after = OFTEN;
            // However slow this machine is.
            bells.rung = Some(Instant::now() + Duration::from_secs(3600));
        });
        ring(&bell);
        at_rest();
        assert_eq!(bell.0.load(Ordering::Relaxed), 0);
        while bell.0.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        late.abort();
    }
}
