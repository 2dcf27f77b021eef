//! A line: what carries a call's frames, one after another if it breaks.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::sync::{Notify, watch};

use super::call::Call;
use super::event::CallEvent;
use super::registry::{Beginning, Registry};
use crate::transport::{CloseReason, Endpoint, Frame, Outgoing, Writer};

/// The close code of a server that is busy (RFC 6455, registry of close codes).
const TRY_AGAIN_LATER: u16 = 1013;

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
        let _ = call.carried_by(&line);
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

    /// The stream has started: whether the call that was made for it goes on.
    fn begin(&self, call: &Arc<Call>) -> bool {
        let (Some(registry), Some(line)) = (&self.registry, self.myself.upgrade()) else {
            return true;
        };
        match registry.begin(call) {
            Beginning::New(seat) => {
                call.sit(seat);
                true
            }
            Beginning::Continued(known) => {
                *self.guard() = Arc::clone(&known);
                call.go_on_as(&known, &line);
                false
            }
            Beginning::Full => {
                call.refuse(TRY_AGAIN_LATER, "too many calls stand (max_calls)");
                false
            }
            Beginning::Closed => {
                call.refuse(TRY_AGAIN_LATER, "the server takes no more calls");
                false
            }
        }
    }

    /// Another line carries the call: this one closes, for a call that is over.
    pub(super) fn abandon(&self, over: &Arc<Call>) {
        *self.guard() = Arc::clone(over);
        self.announce();
    }
}

impl Endpoint for CallLine {
    fn on_frame(&self, frame: Frame<'_>) {
        let call = self.call();
        let effects = call.receive(frame);
        if !effects.started || self.begin(&call) {
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
