//! Calls whose events go to a hub, and a server of such calls.

use std::collections::HashMap;
use std::io;
#[cfg(feature = "webrtc")]
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;

use super::{DispatchProgress, Message, MessageHub, SessionCarrier, next_worker};
use crate::calls::carrier::Carrier;
use crate::calls::security::origins::Origins;
use crate::calls::server::{CallHost, CallServer, Route};
#[cfg(feature = "webrtc")]
use crate::calls::webrtc::{AnswerError, PendingOffers, WebRtcCallOptions};
use crate::calls::{Call, CallEvent, CallLine, CallObserver, CallOptions, Files};
use crate::delivery::process::{Forked, Process};
use crate::delivery::queue::{PastBound, QueueSettings};
use crate::delivery::workers::StartError;
use crate::session::{Clock, Microphone};
use crate::transport::listen::{ListenOptions, Listener};
use crate::transport::{CloseReason, Endpoint as _, Frame, Outgoing};

/// Bounds on the events of a call, or of a server, that wait for the reader. A call has few.
const QUEUE: QueueSettings = QueueSettings {
    max_messages: 10_000,
    max_bytes: 1024 * 1024,
    past_bound: PastBound::Report,
    tells: true,
};

/// Calls that have come in and that nobody has taken yet. Past it they are hung up.
const MAX_UNTAKEN: usize = 1_000;

/// Pushes the events of a call into the hub.
struct CallSink {
    hub: Arc<MessageHub>,
    id: u64,
    carrier: SessionCarrier,
    progress: Arc<DispatchProgress>,
    /// The server that the call came to, and by which of its routes.
    server: Option<(Weak<Arrivals>, usize)>,
    /// The reader was told that there is something to send, and has not taken it yet.
    has_told: AtomicBool,
}

impl std::fmt::Debug for CallSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallSink")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl CallSink {
    fn new(
        hub: &Arc<MessageHub>,
        carrier: SessionCarrier,
        server: Option<(Weak<Arrivals>, usize)>,
    ) -> Arc<Self> {
        let progress = Arc::<DispatchProgress>::default();
        let id = hub.register(QUEUE, Arc::clone(&progress.cursor));
        Arc::new(Self {
            hub: Arc::clone(hub),
            id,
            carrier,
            progress,
            server,
            has_told: AtomicBool::new(false),
        })
    }

    fn push(&self, event: CallEvent) {
        self.hub.push(self.id, 0, Message::Call(event));
        self.hub.notify();
    }
}

impl Drop for CallSink {
    fn drop(&mut self) {
        self.hub.unregister(self.id);
    }
}

/// How a call knows its sink: a call of a server that nobody takes must not keep it.
#[derive(Debug)]
struct Observer(Arc<CallSink>);

impl CallObserver for Observer {
    fn started(&self, call: &Arc<Call>) {
        match &self.0.server {
            None => self.0.push(CallEvent::CallStarted {}),
            Some((server, route)) => match server.upgrade() {
                Some(server) => {
                    let call = DispatchedCall {
                        call: Arc::clone(call),
                        sink: Arc::clone(&self.0),
                        line: None,
                        process: Process::current(),
                    };
                    server.arrived(call, *route);
                }
                None => call.hang_up(false),
            },
        }
    }

    fn event(&self, event: CallEvent) {
        let is_outgoing = matches!(event, CallEvent::CallOutgoing {});
        if !is_outgoing || !self.0.has_told.swap(true, Ordering::AcqRel) {
            self.0.push(event);
        }
    }
}

/// A call, and the hub's number for it. It ends when it is dropped.
#[derive(Debug)]
pub struct DispatchedCall {
    call: Arc<Call>,
    sink: Arc<CallSink>,
    /// Its only line, where no server of ours has it.
    line: Option<Arc<CallLine>>,
    process: Process,
}

impl DispatchedCall {
    /// A call whose frames somebody else carries. Each of its lines is a call of its own: one that is lost
    /// is not waited for.
    pub fn external(
        hub: &Arc<MessageHub>,
        codec: Box<dyn Carrier>,
        options: CallOptions,
        clock: Clock,
    ) -> Result<Self, StartError> {
        Self::of_one_line(hub, codec, options, clock, true)
    }

    fn of_one_line(
        hub: &Arc<MessageHub>,
        codec: Box<dyn Carrier>,
        mut options: CallOptions,
        clock: Clock,
        is_external: bool,
    ) -> Result<Self, StartError> {
        options.leg.resume_timeout = Duration::ZERO;
        let carrier = next_worker()?;
        let sink = CallSink::new(hub, carrier.clone(), None);
        let observer = Arc::new(Observer(Arc::clone(&sink)));
        let call = Call::new(codec, options, clock, &carrier.handle, observer);
        Ok(Self {
            line: Some(CallLine::new(&call, None, is_external)),
            call,
            sink,
            process: Process::current(),
        })
    }

    /// A call of a page over WebRTC, whose offer is to be [answered](Self::answer).
    #[cfg(feature = "webrtc")]
    pub fn offered(
        hub: &Arc<MessageHub>,
        options: CallOptions,
        clock: Clock,
    ) -> Result<Self, StartError> {
        let codec = crate::calls::webrtc::carrier();
        Self::of_one_line(hub, codec, options, clock, false)
    }

    /// Answers the page's offer from the options' addresses, or else from `local`. The answer, or why there
    /// is none, comes as [`CallEvent::CallAnswered`]. `max_pending` bounds all calls of the process that are
    /// answered so.
    #[cfg(feature = "webrtc")]
    pub fn answer(&self, offer: String, local: IpAddr, options: WebRtcCallOptions) {
        let (Some(line), sink) = (self.line.clone(), Arc::clone(&self.sink)) else {
            return;
        };
        let id = format!("{:032x}", rand::random::<u128>());
        self.sink.carrier.handle.spawn(async move {
            let (options, waiting) = (Arc::new(options), PendingOffers::of_process());
            let answered = crate::calls::webrtc::answer(&offer, local, &options, &waiting).await;
            let is_offer_invalid = matches!(answered, Err(AnswerError::Offer(_)));
            let is_busy = matches!(answered, Err(AnswerError::Busy));
            let (description, problem, page) = match answered {
                Ok((description, page)) => (Some(description), None, Some(page)),
                Err(error) => (None, Some(error.to_string()), None),
            };
            sink.push(CallEvent::CallAnswered {
                description,
                problem,
                is_offer_invalid,
                is_busy,
            });
            drop(sink);
            if let Some(page) = page {
                Box::pin(page.run(line, id)).await;
            }
        });
    }

    /// The number that the hub knows it by.
    pub fn id(&self) -> u64 {
        self.sink.id
    }

    pub fn progress(&self) -> &Arc<DispatchProgress> {
        &self.sink.progress
    }

    /// The call, unless it is the one of a parent process.
    pub fn call(&self) -> Result<&Arc<Call>, Forked> {
        self.process.check("call")?;
        Ok(&self.call)
    }

    /// What runs it: its session, too.
    pub fn carrier(&self) -> SessionCarrier {
        self.sink.carrier.clone()
    }

    /// Couples it with the session of that microphone; false where one of both was coupled before.
    pub fn couple(&self, microphone: &Arc<Microphone>) -> bool {
        self.call.couple(microphone)
    }

    /// A frame has come.
    pub fn receive(&self, frame: Frame<'_>) {
        if let Some(line) = &self.line {
            line.on_frame(frame);
        }
    }

    /// What is to be sent now.
    pub fn take_outgoing(&self, max_bytes: usize) -> Vec<Outgoing> {
        self.sink.has_told.store(false, Ordering::Release);
        let mut batch = Vec::new();
        if let Some(line) = &self.line {
            line.take_outgoing(&mut batch, max_bytes);
        }
        batch
    }

    /// Whoever carries the frames carries no more.
    pub fn line_ended(&self, ended: CloseReason) {
        if let Some(line) = &self.line {
            line.on_ended(ended);
        }
    }
}

impl Drop for DispatchedCall {
    fn drop(&mut self) {
        if self.process.is_current() {
            self.call.hang_up(false);
        }
    }
}

/// The calls that have come to a server, until somebody takes them.
#[derive(Debug)]
struct Arrivals {
    sink: Arc<CallSink>,
    waiting: Mutex<(u64, HashMap<u64, DispatchedCall>)>,
}

impl Arrivals {
    fn waiting(&self) -> MutexGuard<'_, (u64, HashMap<u64, DispatchedCall>)> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, call: DispatchedCall, route: usize) {
        let token = {
            let mut waiting = self.waiting();
            if waiting.1.len() >= MAX_UNTAKEN {
                drop(waiting);
                // Dropped, it is hung up.
                return drop(call);
            }
            waiting.0 += 1;
            let token = waiting.0;
            waiting.1.insert(token, call);
            token
        };
        self.sink.push(CallEvent::IncomingCall { token, route });
    }
}

#[derive(Debug)]
struct Host {
    hub: Arc<MessageHub>,
    arrivals: Weak<Arrivals>,
}

impl CallHost for Host {
    fn runtime(&self) -> Option<Handle> {
        Some(next_worker().ok()?.handle)
    }

    fn observer(&self, route: usize) -> Option<Arc<dyn CallObserver>> {
        let carrier = super::carrier::worker_of(&Handle::current())?;
        let sink = CallSink::new(
            &self.hub,
            carrier,
            Some((Weak::clone(&self.arrivals), route)),
        );
        Some(Arc::new(Observer(sink)))
    }
}

/// A server whose calls are announced through a hub.
#[derive(Debug)]
pub struct DispatchedCallServer {
    server: Arc<CallServer>,
    arrivals: Arc<Arrivals>,
    process: Process,
}

impl DispatchedCallServer {
    /// `max_calls`: how many may stand at once.
    pub fn new(hub: &Arc<MessageHub>, max_calls: Option<usize>) -> Result<Self, StartError> {
        let sink = CallSink::new(hub, next_worker()?, None);
        let arrivals = Arc::new(Arrivals {
            sink,
            waiting: Mutex::default(),
        });
        let host = Arc::new(Host {
            hub: Arc::clone(hub),
            arrivals: Arc::downgrade(&arrivals),
        });
        Ok(Self {
            server: CallServer::new(host, max_calls),
            arrivals,
            process: Process::current(),
        })
    }

    /// The number that the hub knows it by.
    pub fn id(&self) -> u64 {
        self.arrivals.sink.id
    }

    pub fn progress(&self) -> &Arc<DispatchProgress> {
        &self.arrivals.sink.progress
    }

    fn server(&self) -> Result<&Arc<CallServer>, Forked> {
        self.process.check("call server")?;
        Ok(&self.server)
    }

    pub fn add(&self, route: Route) -> Result<usize, Forked> {
        Ok(self.server()?.add(route))
    }

    /// Gives files to browsers, as far as `origins` lets them in; false where it has files already.
    pub fn serve_files(&self, files: Files, origins: Origins) -> Result<bool, Forked> {
        Ok(self.server()?.serve_files(files, origins))
    }

    /// Listens on all routes of WebSocket carriers, or for streams on one.
    pub fn listen(
        &self,
        address: SocketAddr,
        options: ListenOptions,
        stream_route: Option<usize>,
    ) -> io::Result<Listener> {
        let server = self.server().map_err(io::Error::other)?;
        let runtime = &self.arrivals.sink.carrier.handle;
        match stream_route {
            None => server.listen(address, options, runtime),
            Some(route) => server.listen_for_streams(address, options, route, runtime),
        }
    }

    /// Takes no new call, not even on a line that is open already.
    pub fn stop(&self) {
        self.server.stop();
    }

    /// A call that has come, by the token of its [`CallEvent::IncomingCall`].
    pub fn take(&self, token: u64) -> Option<DispatchedCall> {
        self.arrivals.waiting().1.remove(&token)
    }

    /// How many calls stand.
    pub fn standing(&self) -> usize {
        self.server.calls().len()
    }

    /// Hangs up all calls.
    pub fn hang_up(&self) {
        for call in self.server.calls() {
            call.hang_up(false);
        }
    }
}
