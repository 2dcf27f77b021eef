//! A line: what carries a call's frames, one after another if it breaks.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::sync::{Notify, watch};

use super::call::Call;
use super::event::CallEvent;
use super::registry::Registry;
use crate::transport::{CloseReason, Endpoint, Frame, Outgoing, Writer};

/// One line of a call, as its driver sees it.
#[derive(Debug)]
pub struct CallLine {
    call: Mutex<Arc<Call>>,
    /// Where calls that lost their line are found.
    registry: Option<Arc<Registry>>,
    /// No driver of ours carries it: the observer is told that there is something to send.
    is_external: bool,
    ready: Notify,
    writer: OnceLock<WeakWriter>,
    held: watch::Sender<bool>,
    myself: Weak<Self>,
}

struct WeakWriter(Weak<dyn Writer>);

impl std::fmt::Debug for WeakWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer")
    }
}

impl CallLine {
    pub fn new(call: &Arc<Call>, registry: Option<Arc<Registry>>, is_external: bool) -> Arc<Self> {
        let line = Arc::new_cyclic(|myself| Self {
            call: Mutex::new(Arc::clone(call)),
            registry,
            is_external,
            ready: Notify::new(),
            writer: OnceLock::new(),
            held: watch::Sender::new(false),
            myself: Weak::clone(myself),
        });
        call.carried_by(&line);
        line
    }

    fn guard(&self) -> MutexGuard<'_, Arc<Call>> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call that it carries.
    pub fn call(&self) -> Arc<Call> {
        Arc::clone(&self.guard())
    }

    /// There is something to send. It is written on this thread where the driver permits that.
    pub(super) fn announce(&self) {
        let writer = self.writer.get().and_then(|writer| writer.0.upgrade());
        if writer.is_some_and(|writer| writer.write_now()) {
            return;
        }
        self.ready.notify_one();
        if self.is_external {
            self.call().observer().event(CallEvent::CallOutgoing {});
        }
    }

    /// Another call has lost its line, and this is its new one.
    fn take_over(&self, call: &Arc<Call>) -> bool {
        let Some(registry) = &self.registry else {
            return false;
        };
        let (Some(lost), Some(line)) = (registry.lost_call(call), self.myself.upgrade()) else {
            registry.add(call);
            return false;
        };
        *self.guard() = Arc::clone(&lost);
        call.go_on_as(&lost, &line);
        true
    }
}

impl Endpoint for CallLine {
    fn on_frame(&self, frame: Frame<'_>) {
        let call = self.call();
        let effects = call.receive(frame);
        if !(effects.started && self.take_over(&call)) {
            call.carry_out(effects);
        }
    }

    fn take_outgoing(&self, batch: &mut Vec<Outgoing>, max_bytes: usize) {
        self.guard().take_outgoing(batch, max_bytes);
    }

    fn on_flushed(&self) {}

    fn lend_writer(&self, writer: Weak<dyn Writer>) {
        // A line has one driver.
        let _ = self.writer.set(WeakWriter(writer));
    }

    fn outgoing_ready(&self) -> &Notify {
        &self.ready
    }

    fn reading_held(&self) -> watch::Receiver<bool> {
        self.held.subscribe()
    }

    fn on_ended(&self, ended: CloseReason) {
        let (reason, is_clean) = match ended {
            CloseReason::ClosedByUs => ("closed by this side".to_owned(), true),
            CloseReason::ClosedByPeer { code, reason } => {
                let is_clean = matches!(code, 1000 | 1005);
                (
                    format!("the carrier closed the stream ({code}) {reason}"),
                    is_clean,
                )
            }
            CloseReason::Lost { cause } | CloseReason::Unsayable { cause } => (cause, false),
        };
        let call = self.call();
        if let Some(line) = self.myself.upgrade() {
            call.line_ended(&line, reason.trim_end(), is_clean);
        }
    }
}
