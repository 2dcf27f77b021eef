//! The clock of a conversation. The conversation itself reads none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time since the session began: real, or advanced by tests.
#[derive(Debug, Clone)]
pub enum Clock {
    Real(Instant),
    /// Microseconds.
    Virtual(Arc<AtomicU64>),
}

impl Default for Clock {
    fn default() -> Self {
        Self::Real(Instant::now())
    }
}

impl Clock {
    /// A clock that stands still until it is advanced.
    pub fn stopped() -> Self {
        Self::Virtual(Arc::default())
    }

    pub fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }

    pub fn now(&self) -> Duration {
        match self {
            Self::Real(start) => start.elapsed(),
            Self::Virtual(micros) => Duration::from_micros(micros.load(Ordering::Acquire)),
        }
    }

    /// Advances a virtual clock; does nothing to a real one.
    pub fn advance(&self, by: Duration) {
        if let Self::Virtual(micros) = self {
            micros.fetch_add(by.as_micros() as u64, Ordering::AcqRel);
        }
    }
}
