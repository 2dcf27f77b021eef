//! Guarantees that an endpoint hears of its connection's end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing::debug;

use super::endpoint::{CloseReason, Endpoint};

/// Tells the endpoint that the connection has ended, once, however the driver's task stops.
pub(crate) struct EndGuard<E: Endpoint + ?Sized> {
    endpoint: Arc<E>,
    reported: bool,
}

impl<E: Endpoint + ?Sized> EndGuard<E> {
    pub fn new(endpoint: Arc<E>) -> Self {
        Self {
            endpoint,
            reported: false,
        }
    }

    pub fn endpoint(&self) -> &Arc<E> {
        &self.endpoint
    }

    pub fn report(mut self, ended: CloseReason) {
        self.tell(ended);
    }

    fn tell(&mut self, ended: CloseReason) {
        self.reported = true;
        match &ended {
            // The reason is the peer's text, which is not for the log.
            CloseReason::ClosedByPeer { code, .. } => debug!(code, "closed by the peer"),
            other => debug!("{other}"),
        }
        self.endpoint.on_ended(ended);
    }
}

impl<E: Endpoint + ?Sized> Drop for EndGuard<E> {
    fn drop(&mut self) {
        if !self.reported {
            let cause = "the task that carried the connection was stopped".to_owned();
            // A panic while another one unwinds would abort the process.
            let _ = catch_unwind(AssertUnwindSafe(|| self.tell(CloseReason::Lost { cause })));
        }
    }
}
