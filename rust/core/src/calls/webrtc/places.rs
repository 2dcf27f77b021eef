//! Bounds the offers that are answered and whose calls have not started: each has a socket and the state of a
//! connection, whoever made it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::delivery::process::Process;

/// The offers of all calls that no listener of ours takes.
static OF_PROCESS: AtomicU64 = AtomicU64::new(0);

/// The process that counts, and how many it has: a child that was forked has none of its parent's.
fn split(packed: u64) -> (u32, u32) {
    ((packed >> 32) as u32, packed as u32)
}

fn packed(process: u32, taken: u32) -> u64 {
    u64::from(process) << 32 | u64::from(taken)
}

/// How many places are taken.
#[derive(Debug, Clone)]
enum Taken {
    OfPath(Arc<AtomicU64>),
    OfProcess,
}

impl Taken {
    fn count(&self) -> &AtomicU64 {
        match self {
            Self::OfPath(count) => count,
            Self::OfProcess => &OF_PROCESS,
        }
    }
}

/// Places for offers whose calls have not started.
#[derive(Debug, Clone)]
pub struct Places(Taken);

impl Places {
    /// Those of one path of a listener.
    pub fn of_path() -> Self {
        Self(Taken::OfPath(Arc::default()))
    }

    /// Those of this process, for calls that are answered one by one.
    pub fn of_process() -> Self {
        Self(Taken::OfProcess)
    }

    /// A place, unless so many are taken.
    pub fn take(&self, most: usize) -> Option<Place> {
        let process = Process::current().id();
        let more = |current| {
            let (whose, taken) = split(current);
            let taken = if whose == process { taken } else { 0 };
            ((taken as usize) < most && taken < u32::MAX).then(|| packed(process, taken + 1))
        };
        let count = self.0.count();
        count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(Place(self.0.clone(), process))
    }
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct Place(Taken, u32);

impl Drop for Place {
    fn drop(&mut self) {
        let fewer = |current| {
            let (whose, taken) = split(current);
            (whose == self.1).then(|| packed(whose, taken.saturating_sub(1)))
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
    fn a_place_is_free_again_when_it_is_left() {
        let places = Places::of_path();
        let taken: Vec<_> = (0..3).map_while(|_| places.take(2)).collect();
        assert_eq!(taken.len(), 2);
        assert!(places.take(3).is_some());
        drop(taken);
        assert!(places.take(1).is_some());
        assert!(Places::of_path().take(0).is_none());
    }

    #[test]
    fn a_child_has_none_of_its_parents_places() {
        let places = Places::of_path();
        let mut parents = places.take(1).expect("a place");
        let count = places.0.count();
        count.store(packed(parents.1 + 1, 1), Ordering::Release);
        parents.1 += 1;
        let own = places.take(1).expect("a place of this process");
        drop(parents);
        assert!(places.take(1).is_none());
        drop(own);
        assert!(places.take(1).is_some());
    }
}
