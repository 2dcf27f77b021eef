//! The driver of a connection: one task that moves frames between a socket and an endpoint.

mod reading;
mod writing;

use std::future::{pending, poll_fn};
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::SinkExt;
use tokio::io::AsyncWrite;
use tokio::sync::futures::Notified;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{Bytes, Message};

use self::reading::Reading;
use self::writing::Buffered;
use super::Socket;
use super::keepalive::{Due, KeepAlive, Patience};
use super::options::WebSocketOptions;
use crate::transport::endpoint::{CloseReason, Endpoint, Outgoing, Writer};

/// How long the socket is kept after the connection has ended, at most.
const LINGER: Duration = Duration::from_secs(1);

/// The options that the driver uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct DriverSettings {
    close_timeout: Duration,
    idle_patience: Option<Patience>,
    sending_patience: Patience,
    write_batch_bytes: usize,
    is_client: bool,
}

impl DriverSettings {
    /// For the server's side of a connection.
    pub(super) fn of_server(self) -> Self {
        Self {
            is_client: false,
            ..self
        }
    }
}

impl From<&WebSocketOptions> for DriverSettings {
    fn from(options: &WebSocketOptions) -> Self {
        Self {
            close_timeout: options.close_timeout,
            idle_patience: options.ping_interval.map(|interval| Patience {
                interval,
                timeout: options.ping_timeout,
            }),
            sending_patience: Patience {
                interval: options.sending_ping_interval,
                timeout: options.sending_ping_timeout,
            },
            write_batch_bytes: options.write_batch_bytes,
            is_client: true,
        }
    }
}

/// Creates the driver that runs `endpoint` over `socket`. This is not done in [`drive`], because its
/// future would then reserve space for the socket as well.
pub(super) fn driver<E: Endpoint + ?Sized>(
    socket: Socket,
    endpoint: &Arc<E>,
    settings: DriverSettings,
) -> Arc<Shared<E>> {
    Arc::new(Shared(Mutex::new(Driver {
        socket,
        endpoint: Arc::clone(endpoint),
        settings,
        keepalive: KeepAlive::new(
            settings.idle_patience,
            settings.sending_patience,
            Instant::now(),
        ),
        stage: Stage::Open,
        held: false,
        batch: Vec::new(),
        may_have_outgoing: true,
        buffered: Buffered::Nothing,
        has_control: false,
        has_said_goodbye: false,
        failure: None,
        ended_in_writer: None,
        timer_at: None,
    })))
}

/// Runs `endpoint` until the connection ends, and returns how it ended.
pub(super) async fn drive<E: Endpoint + ?Sized>(
    shared: &Arc<Shared<E>>,
    endpoint: &Arc<E>,
) -> CloseReason {
    let now = Instant::now();
    let mut held = endpoint.reading_held();
    shared.lock().held = *held.borrow_and_update();
    let writer: Weak<Shared<E>> = Arc::downgrade(shared);
    endpoint.lend_writer(writer);
    let mut ready = pin!(endpoint.outgoing_ready().notified());
    let mut timer = pin!(sleep_until(now));
    let mut change = pin!(next_change(held));
    poll_fn(|cx| {
        let mut driver = shared.lock();
        while let Poll::Ready(mut held) = change.as_mut().poll(cx) {
            driver.hold(*held.borrow_and_update());
            change.set(next_change(held));
        }
        match driver.turn(cx, endpoint, ready.as_mut(), timer.as_mut()) {
            Continue(()) => Poll::Pending,
            Break(ended) => {
                driver.shut_down(cx);
                Poll::Ready(ended)
            }
        }
    })
    .await
}

/// Reads on, for a moment, after a close frame was sent: a kernel that closes with bytes unread resets
/// the connection, and the peer may then lose what it was sent (RFC 6455, section 7.1.1).
pub(super) async fn linger<E: Endpoint + ?Sized>(shared: Arc<Shared<E>>) {
    let most = {
        let driver = shared.lock();
        let is_closing = driver.has_said_goodbye || !matches!(driver.stage, Stage::Open);
        is_closing.then(|| driver.settings.close_timeout.min(LINGER))
    };
    let Some(most) = most else {
        return;
    };
    let reading = poll_fn(|cx| {
        let mut driver = shared.lock();
        let outlet = driver.socket.get_mut();
        let _ = Pin::new(&mut *outlet).poll_shutdown(cx);
        loop {
            match ready!(outlet.stream().poll_discard(cx)) {
                Ok(true) => {}
                Ok(false) | Err(_) => return Poll::Ready(()),
            }
        }
    });
    let _ = timeout(most, reading).await;
}

/// The driver, shared by its task and the threads that write directly.
pub(super) struct Shared<E: ?Sized>(Mutex<Driver<E>>);

impl<E: ?Sized> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, Driver<E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Endpoint + ?Sized> Writer for Shared<E> {
    fn write_now(&self) -> bool {
        // If the lock is taken, its holder writes what is queued, or is notified to.
        self.0
            .try_lock()
            .is_ok_and(|mut driver| driver.write_for_another())
    }
}

/// Returns the receiver when its value has changed.
async fn next_change(mut held: watch::Receiver<bool>) -> watch::Receiver<bool> {
    if held.changed().await.is_err() {
        // The sender is gone: the value cannot change any more.
        pending::<()>().await;
    }
    held
}

/// The state of the closing handshake (RFC 6455, section 7.1).
enum Stage {
    Open,
    /// We sent a close frame and wait for the peer's.
    CloseSent,
    /// The peer sent a close frame; ours is still to be flushed.
    CloseReceived(CloseReason),
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
struct Driver<E: ?Sized> {
    socket: Socket,
    endpoint: Arc<E>,
    settings: DriverSettings,
    keepalive: KeepAlive,
    stage: Stage,
    /// Reading is paused (backpressure).
    held: bool,
    batch: Vec<Outgoing>,
    /// The endpoint may have outgoing messages.
    may_have_outgoing: bool,
    buffered: Buffered,
    /// tungstenite may have a control frame that is not in its buffer yet.
    has_control: bool,
    /// A close frame was sent because the peer broke the protocol.
    has_said_goodbye: bool,
    /// Writing failed. The driver first reads what the peer has sent, which may give the reason.
    failure: Option<CloseReason>,
    /// How the connection ended while another thread wrote; the task has yet to return it.
    ended_in_writer: Option<CloseReason>,
    /// The new deadline of the timer, if it has changed.
    timer_at: Option<Instant>,
}

impl<E: Endpoint + ?Sized> Driver<E> {
    /// Writes and reads all that is possible now. Writing and reading never wait for each other, so
    /// two peers that both send and do not read cannot deadlock.
    fn turn<'a>(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: &'a E,
        mut ready: Pin<&mut Notified<'a>>,
        mut timer: Pin<&mut Sleep>,
    ) -> ControlFlow<CloseReason> {
        if let Some(ended) = self.ended_in_writer.take() {
            return Break(ended);
        }
        let mut reading = Reading::More;
        loop {
            self.write(cx, endpoint, ready.as_mut())?;
            // After a read has found no more, the socket wakes the task when there is data.
            let has_read = matches!(reading, Reading::More) && {
                reading = self.read(cx)?;
                matches!(reading, Reading::More | Reading::Last)
            };
            let has_pinged = self.handle_timer(cx, timer.as_mut())?;
            if !has_read && !has_pinged {
                return Continue(());
            }
        }
    }

    fn hold(&mut self, held: bool) {
        self.held = held;
        self.note_activity(Instant::now());
    }

    /// Restarts the keep-alive interval: data has arrived, or reading was paused.
    fn note_activity(&mut self, now: Instant) {
        let timer_at = self.keepalive.note_activity(now);
        if matches!(self.stage, Stage::Open) {
            self.timer_at = timer_at.or(self.timer_at);
        }
    }

    /// Handles the timer; returns whether a ping was sent.
    fn handle_timer(
        &mut self,
        cx: &mut Context<'_>,
        mut timer: Pin<&mut Sleep>,
    ) -> ControlFlow<CloseReason, bool> {
        if let Some(at) = self.timer_at.take() {
            timer.as_mut().reset(at);
        }
        let mut has_pinged = false;
        while timer.as_mut().poll(cx).is_ready() {
            match &self.stage {
                Stage::CloseSent => return Break(CloseReason::ClosedByUs),
                Stage::CloseReceived(ended) => return Break(ended.clone()),
                Stage::Open => {}
            }
            let now = Instant::now();
            if self.held {
                let _ = self.keepalive.note_activity(now);
            }
            let outlet = self.socket.get_ref();
            let next = match self.keepalive.check(now, || outlet.is_behind()) {
                Due::Wait(at) => at,
                Due::Ping(at) => {
                    // If the ping cannot be written, the next flush fails and reports it.
                    let _ = self.socket.start_send_unpin(Message::Ping(Bytes::new()));
                    self.note_control();
                    has_pinged = true;
                    at
                }
                Due::Dead(silence) => return Break(timed_out(silence)),
            };
            timer.as_mut().reset(next);
        }
        Continue(has_pinged)
    }

    /// Shuts down TLS and the connection, if that is possible at once.
    fn shut_down(&mut self, cx: &mut Context<'_>) {
        let _ = Pin::new(self.socket.get_mut()).poll_shutdown(cx);
    }
}

fn timed_out(silence: Duration) -> CloseReason {
    let cause = format!(
        "the far side has not answered a ping for {:.3} s (ping_timeout; sending_ping_timeout while \
         something is sent); it or the network is down",
        silence.as_secs_f64()
    );
    CloseReason::Lost { cause }
}
