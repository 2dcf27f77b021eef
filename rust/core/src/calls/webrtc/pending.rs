//! Bounds the offers that are answered and whose calls have not started: each has a socket and the state of a
//! connection, whoever made it.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The offers of all calls that no listener of ours takes.
static OF_PROCESS: AtomicU64 = AtomicU64::new(0);

/// The process that counts, and how many it has: a child that was forked has none of its parent's.
fn split(packed: u64) -> (u32, u32) {
    ((packed >> 32) as u32, packed as u32)
}

fn packed(process: u32, waiting: u32) -> u64 {
    u64::from(process) << 32 | u64::from(waiting)
}

/// How many offers wait.
#[derive(Debug, Clone)]
enum Counter {
    OfPath(Arc<AtomicU64>),
    OfProcess,
}

impl Counter {
    fn count(&self) -> &AtomicU64 {
        match self {
            Self::OfPath(count) => count,
            Self::OfProcess => &OF_PROCESS,
        }
    }
}

/// The offers that are answered and whose calls have not started.
#[derive(Debug, Clone)]
pub struct PendingOffers(Counter);

impl PendingOffers {
    /// Those of one path of a listener.
    pub fn of_path() -> Self {
        Self(Counter::OfPath(Arc::default()))
    }

    /// Those of this process, for calls that are answered one by one.
    pub fn of_process() -> Self {
        Self(Counter::OfProcess)
    }

    /// Counts another one, unless so many wait.
    pub fn add(&self, most: usize) -> Option<PendingOffer> {
        let process = process::id();
        let more = |current| {
            let (whose, waiting) = split(current);
            let waiting = if whose == process { waiting } else { 0 };
            ((waiting as usize) < most && waiting < u32::MAX).then(|| packed(process, waiting + 1))
        };
        let count = self.0.count();
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(PendingOffer(self.0.clone(), process))
    }
}

/// One that is counted until this is dropped.
#[derive(Debug)]
pub struct PendingOffer(Counter, u32);

impl Drop for PendingOffer {
    fn drop(&mut self) {
        let fewer = |current| {
            let (whose, waiting) = split(current);
            (whose == self.1).then(|| packed(whose, waiting.saturating_sub(1)))
        };
        // Another process counts anew.
        let _ = self
            .0
            .count()
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, fewer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_that_has_started_or_ended_counts_no_more() {
        let offers = PendingOffers::of_path();
        let taken: Vec<_> = (0..3).map_while(|_| offers.add(2)).collect();
        assert_eq!(taken.len(), 2);
        assert!(offers.add(3).is_some());
        drop(taken);
        assert!(offers.add(1).is_some());
        assert!(PendingOffers::of_path().add(0).is_none());
    }

    #[test]
    fn a_child_has_none_of_its_parents_offers() {
        let offers = PendingOffers::of_path();
        let mut parents = offers.add(1).expect("an offer");
        let count = offers.0.count();
        count.store(packed(parents.1 + 1, 1), Ordering::Release);
        parents.1 += 1;
        let own = offers.add(1).expect("an offer of this process");
        drop(parents);
        assert!(offers.add(1).is_none());
        drop(own);
        assert!(offers.add(1).is_some());
    }
}
