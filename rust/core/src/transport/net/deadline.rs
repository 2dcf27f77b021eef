//! One time limit for all phases of connecting.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::error::{ConnectError, ConnectPhase};

/// When connecting is given up, in whichever phase.
#[derive(Debug, Clone, Copy)]
pub(in crate::transport) struct Deadline {
    started: Instant,
    limit: Duration,
}

impl Deadline {
    /// Starts the clock.
    pub fn after(limit: Duration) -> Self {
        Self {
            started: Instant::now(),
            limit,
        }
    }

    /// The remaining time.
    pub fn remaining(&self) -> Duration {
        self.limit.saturating_sub(self.started.elapsed())
    }

    /// Runs one phase. On a timeout the error names that phase.
    pub async fn bound<T>(
        &self,
        phase: ConnectPhase,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        match timeout(self.remaining(), work).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::TimedOut {
                phase,
                after: self.limit,
            }),
        }
    }
}
