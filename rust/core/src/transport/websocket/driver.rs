//! Moves frames between a socket and an endpoint, in one task.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWrite;
use tokio::sync::futures::Notified;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::Socket;
use super::end::{cause_of, goodbye_for};
use super::frame;
use super::keepalive::{Due, KeepAlive, later};
use super::options::WebSocketOptions;
use crate::transport::endpoint::{CloseReason, Endpoint, Frame, Outgoing, Writer};

/// How often is read, or a message taken from tungstenite, before writing has its turn again.
const READ_TURN: usize = 4;

/// What a thread's buffer for frames keeps of its room.
const MOST_FRAMES: usize = 1024 * 1024;

thread_local! {
    /// Frames on their way to a socket: one buffer for all connections, which stays in the cache.
    static FRAMES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The longest reason that a close frame can run, in bytes (RFC 6455, section 5.5).
const MOST_REASON: usize = 123;

/// What the driver needs of the options.
#[derive(Debug, Clone, Copy)]
pub(super) struct DriverSettings {
    close_timeout: Duration,
    ping_interval: Option<Duration>,
    ping_timeout: Duration,
    write_batch_bytes: usize,
}

impl From<&WebSocketOptions> for DriverSettings {
    fn from(options: &WebSocketOptions) -> Self {
        Self {
            close_timeout: options.close_timeout,
            ping_interval: options.ping_interval,
            ping_timeout: options.ping_timeout,
            write_batch_bytes: options.write_batch_bytes,
        }
    }
}

/// What is to run `endpoint` over `socket`. It is no part of [`drive`], whose task would keep room for
/// the socket beside it.
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
            settings.ping_interval,
            settings.ping_timeout,
            Instant::now(),
        ),
        stage: Stage::Open,
        held: false,
        batch: Vec::new(),
        ask: true,
        buffered: Buffered::Nothing,
        failure: None,
        over: None,
        alarm_at: None,
    })))
}

/// Carries `endpoint` until the connection ends, and says how it ended.
pub(super) async fn drive<E: Endpoint + ?Sized>(
    shared: Arc<Shared<E>>,
    endpoint: &Arc<E>,
) -> CloseReason {
    let now = Instant::now();
    let mut held = endpoint.reading_held();
    shared.lock().held = *held.borrow_and_update();
    let writer: Weak<Shared<E>> = Arc::downgrade(&shared);
    endpoint.lend_writer(writer);
    let mut ready = pin!(endpoint.outgoing_ready().notified());
    let mut alarm = pin!(sleep_until(now));
    let mut change = pin!(next_change(held));
    poll_fn(|cx| {
        let mut driver = shared.lock();
        while let Poll::Ready(mut held) = change.as_mut().poll(cx) {
            driver.hold(*held.borrow_and_update());
            change.set(next_change(held));
        }
        match driver.turn(cx, endpoint, ready.as_mut(), alarm.as_mut()) {
            Continue(()) => Poll::Pending,
            Break(ended) => {
                driver.hang_up(cx);
                Poll::Ready(ended)
            }
        }
    })
    .await
}

/// The driver, between its task and those who write for it.
pub(super) struct Shared<E: ?Sized>(Mutex<Driver<E>>);

impl<E: ?Sized> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, Driver<E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Endpoint + ?Sized> Writer for Shared<E> {
    fn write_now(&self) -> bool {
        // Who has the driver writes what is queued before it lets go of it, or is told to.
        self.0
            .try_lock()
            .is_ok_and(|mut driver| driver.write_for_another())
    }
}

/// Gives the receiver back when its value has changed.
async fn next_change(mut held: watch::Receiver<bool>) -> watch::Receiver<bool> {
    if held.changed().await.is_err() {
        // Nobody can change it any more.
        pending::<()>().await;
    }
    held
}

/// How far the connection is.
enum Stage {
    Open,
    /// We said goodbye and wait for the peer's answer.
    Closing,
    /// The peer said goodbye and our answer is on its way.
    Answering(CloseReason),
}

/// What was there to read.
#[derive(Clone, Copy)]
enum Reading {
    Nothing,
    /// Something, and nothing more.
    Last,
    /// Something, and there may be more.
    More,
}

/// What the socket's buffer holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Buffered {
    Nothing,
    /// A ping or a close frame of the driver's own.
    Own,
    /// A batch of the endpoint's, which waits to hear that it is written.
    Batch,
}

struct Driver<E: ?Sized> {
    socket: Socket,
    endpoint: Arc<E>,
    settings: DriverSettings,
    keepalive: KeepAlive,
    stage: Stage,
    /// Nothing is read.
    held: bool,
    batch: Vec<Outgoing>,
    /// The endpoint may have something to send.
    ask: bool,
    buffered: Buffered,
    /// Writing failed. What the peer said before is read first: it may be the reason.
    failure: Option<CloseReason>,
    /// The connection ended while another wrote: the task is to learn it.
    over: Option<CloseReason>,
    /// When the alarm is to go off, where that has changed.
    alarm_at: Option<Instant>,
}

impl<E: Endpoint + ?Sized> Driver<E> {
    /// Does all that can be done now. Writing and reading never wait for each other, so two peers
    /// that both send and do not read cannot lock each other.
    fn turn<'a>(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: &'a E,
        mut ready: Pin<&mut Notified<'a>>,
        mut alarm: Pin<&mut Sleep>,
    ) -> ControlFlow<CloseReason> {
        if let Some(ended) = self.over.take() {
            return Break(ended);
        }
        let mut reading = Reading::More;
        loop {
            self.write(cx, endpoint, ready.as_mut())?;
            // Once nothing more is there, the socket wakes the task when that has changed.
            let has_read = matches!(reading, Reading::More) && {
                reading = self.read(cx)?;
                matches!(reading, Reading::More | Reading::Last)
            };
            let has_pinged = self.keep_time(cx, alarm.as_mut())?;
            if !has_read && !has_pinged {
                return Continue(());
            }
        }
    }

    fn hold(&mut self, held: bool) {
        self.held = held;
        self.hear(Instant::now());
    }

    /// Notes a sign of life, or what has to count as one.
    fn hear(&mut self, now: Instant) {
        let alarm_at = self.keepalive.hear(now);
        if matches!(self.stage, Stage::Open) {
            self.alarm_at = alarm_at.or(self.alarm_at);
        }
    }

    /// Writes on a thread that has something to send; false where the task has to go on.
    fn write_for_another(&mut self) -> bool {
        // Where something is in the buffer still, the socket is full, and the task waits for it.
        let idle = matches!(self.stage, Stage::Open)
            && self.buffered == Buffered::Nothing
            && self.failure.is_none()
            && self.over.is_none();
        if !idle {
            return false;
        }
        match self.write_all_that_waits() {
            Continue(written) => written,
            Break(ended) => {
                self.over = Some(ended);
                false
            }
        }
    }

    fn write_all_that_waits(&mut self) -> ControlFlow<CloseReason, bool> {
        let mut nobody = Context::from_waker(Waker::noop());
        loop {
            self.take(&mut nobody)?;
            if self.buffered == Buffered::Nothing {
                return Continue(self.failure.is_none());
            }
            // The socket forgets whom it was to wake: where it is full the task asks it anew.
            match self.socket.poll_flush_unpin(&mut nobody) {
                Poll::Pending => return Continue(false),
                Poll::Ready(Err(error)) => {
                    self.fail_writing(&error)?;
                    return Continue(false);
                }
                Poll::Ready(Ok(())) => self.flushed()?,
            }
            if !matches!(self.stage, Stage::Open) {
                return Continue(false);
            }
        }
    }

    fn write<'a>(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: &'a E,
        mut ready: Pin<&mut Notified<'a>>,
    ) -> ControlFlow<CloseReason> {
        while self.failure.is_none() {
            if self.buffered > Buffered::Nothing {
                match self.socket.poll_flush_unpin(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Err(error)) => return self.fail_writing(&error),
                    Poll::Ready(Ok(())) => self.flushed()?,
                }
            }
            if !matches!(self.stage, Stage::Open) {
                break;
            }
            if !self.ask {
                if ready.as_mut().poll(cx).is_pending() {
                    break;
                }
                ready.set(endpoint.outgoing_ready().notified());
            }
            self.ask = false;
            self.take(cx)?;
        }
        Continue(())
    }

    fn flushed(&mut self) -> ControlFlow<CloseReason> {
        let written = std::mem::replace(&mut self.buffered, Buffered::Nothing);
        if written == Buffered::Batch {
            self.endpoint.on_flushed();
            self.ask = true;
        }
        match &self.stage {
            Stage::Answering(ended) => Break(ended.clone()),
            _ => Continue(()),
        }
    }

    /// Writes the endpoint's next batch, as far as the socket takes it now.
    fn take(&mut self, cx: &mut Context<'_>) -> ControlFlow<CloseReason> {
        let mut batch = std::mem::take(&mut self.batch);
        self.endpoint
            .take_outgoing(&mut batch, self.settings.write_batch_bytes);
        if batch.is_empty() {
            self.batch = batch;
            return Continue(());
        }
        self.buffered = Buffered::Batch;
        let mut goodbye = None;
        let written = FRAMES.with_borrow_mut(|frames| {
            frames.clear();
            frames.shrink_to(MOST_FRAMES);
            for outgoing in batch.drain(..) {
                match outgoing {
                    Outgoing::Text(text) => {
                        frame::append_text(frames, &text, rand::random());
                        self.endpoint.recycle(text);
                    }
                    Outgoing::Close { code, reason } => {
                        goodbye = Some(close_frame(code, &reason));
                        break;
                    }
                }
            }
            self.socket.get_mut().write_frames(cx, frames)
        });
        self.batch = batch;
        let mut written = written.map_err(Error::Io);
        if let Some(goodbye) = goodbye {
            self.stage = Stage::Closing;
            self.alarm_at = Some(later(Instant::now(), self.settings.close_timeout));
            written = written.and_then(|()| self.socket.start_send_unpin(Message::Close(goodbye)));
        }
        match written {
            Ok(()) => Continue(()),
            Err(error) => self.fail_writing(&error),
        }
    }

    fn fail_writing(&mut self, error: &Error) -> ControlFlow<CloseReason> {
        let lost = CloseReason::Lost {
            cause: cause_of(error),
        };
        match &self.stage {
            Stage::Closing => Break(CloseReason::ClosedByUs),
            Stage::Answering(ended) => Break(ended.clone()),
            Stage::Open if self.held => Break(lost),
            Stage::Open => {
                self.failure = Some(lost);
                Continue(())
            }
        }
    }

    /// Reads what is there, up to a turn's worth.
    fn read(&mut self, cx: &mut Context<'_>) -> ControlFlow<CloseReason, Reading> {
        match self.stage {
            Stage::Open if self.held => return Continue(Reading::Nothing),
            Stage::Answering(_) => return Continue(Reading::Nothing),
            Stage::Open | Stage::Closing => {}
        }
        let mut has_read = false;
        for _ in 0..READ_TURN {
            if self.endpoint.should_yield() {
                // The next turn goes on. What is not read counts as a sign of life until then.
                cx.waker().wake_by_ref();
                self.hear(Instant::now());
                return Continue(Reading::Last);
            }
            if self.poll_read(cx)?.is_pending() {
                if let Some(lost) = self.failure.take() {
                    return Break(lost);
                }
                if !has_read {
                    return Continue(Reading::Nothing);
                }
                self.hear(Instant::now());
                return Continue(Reading::Last);
            }
            has_read = true;
            if matches!(self.stage, Stage::Answering(_)) {
                break;
            }
        }
        self.hear(Instant::now());
        Continue(Reading::More)
    }

    /// Takes texts, or a message of another kind.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> ControlFlow<CloseReason, Poll<()>> {
        let inlet = self.socket.get_mut().stream();
        if inlet.has_texts_next() {
            let (endpoint, is_open) = (&self.endpoint, matches!(self.stage, Stage::Open));
            let read = inlet.poll_texts(cx, |text| {
                // What comes after our goodbye is not wanted any more.
                if is_open {
                    endpoint.on_frame(Frame::Text(text));
                }
            });
            return match read {
                Poll::Ready(Err(error)) => Break(self.broken(cx, &Error::Io(error))),
                Poll::Ready(Ok(())) => Continue(Poll::Ready(())),
                Poll::Pending => Continue(Poll::Pending),
            };
        }
        match self.socket.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(message))) => self.receive(&message)?,
            Poll::Ready(Some(Err(error))) => return Break(self.broken(cx, &error)),
            Poll::Ready(None) => return Break(self.broken(cx, &Error::ConnectionClosed)),
            // It has all of its frame, and it is no whole message: the next frame decides.
            Poll::Pending if self.socket.get_mut().stream().has_texts_next() => {}
            Poll::Pending => return Continue(Poll::Pending),
        }
        Continue(Poll::Ready(()))
    }

    fn receive(&mut self, message: &Message) -> ControlFlow<CloseReason> {
        match (&self.stage, message) {
            (Stage::Open, Message::Text(text)) => self.endpoint.on_frame(Frame::Text(text)),
            (Stage::Open, Message::Binary(bytes)) => self.endpoint.on_frame(Frame::Binary(bytes)),
            (Stage::Open, Message::Close(frame)) => {
                // tungstenite has queued the answer; it only has to be flushed.
                self.stage = Stage::Answering(closed_by_peer(frame.as_ref()));
                self.buffered = self.buffered.max(Buffered::Own);
                self.alarm_at = Some(later(Instant::now(), self.settings.close_timeout));
                if self.failure.is_some() {
                    // The answer cannot be written.
                    return Break(closed_by_peer(frame.as_ref()));
                }
            }
            (Stage::Closing, Message::Close(_)) => return Break(CloseReason::ClosedByUs),
            // tungstenite has queued the answer.
            (_, Message::Ping(_)) => self.buffered = self.buffered.max(Buffered::Own),
            _ => {}
        }
        Continue(())
    }

    /// How a connection ends that can no longer be read.
    fn broken(&mut self, cx: &mut Context<'_>, error: &Error) -> CloseReason {
        if matches!(self.stage, Stage::Closing) {
            return CloseReason::ClosedByUs;
        }
        if let Some(code) = goodbye_for(error) {
            // Said if it can be said at once; the connection is given up in any case.
            let goodbye = CloseFrame {
                code,
                reason: "".into(),
            };
            let _ = self.socket.start_send_unpin(Message::Close(Some(goodbye)));
            let _ = self.socket.poll_flush_unpin(cx);
        }
        CloseReason::Lost {
            cause: cause_of(error),
        }
    }

    /// Does what is due; tells whether that was a ping.
    fn keep_time(
        &mut self,
        cx: &mut Context<'_>,
        mut alarm: Pin<&mut Sleep>,
    ) -> ControlFlow<CloseReason, bool> {
        if let Some(at) = self.alarm_at.take() {
            alarm.as_mut().reset(at);
        }
        let mut has_pinged = false;
        while alarm.as_mut().poll(cx).is_ready() {
            match &self.stage {
                Stage::Closing => return Break(CloseReason::ClosedByUs),
                Stage::Answering(ended) => return Break(ended.clone()),
                Stage::Open => {}
            }
            let now = Instant::now();
            if self.held {
                let _ = self.keepalive.hear(now);
            }
            let next = match self.keepalive.check(now) {
                Due::Wait(at) => at,
                Due::Ping(at) => {
                    // A ping that cannot be written is a failure that the next flush tells.
                    let _ = self.socket.start_send_unpin(Message::Ping(Bytes::new()));
                    self.buffered = self.buffered.max(Buffered::Own);
                    has_pinged = true;
                    at
                }
                Due::Dead => return Break(self.silent()),
            };
            alarm.as_mut().reset(next);
        }
        Continue(has_pinged)
    }

    fn silent(&self) -> CloseReason {
        let waited = self.settings.ping_timeout.as_secs_f64();
        let cause = format!(
            "the server has not answered a ping for {waited} s (ping_timeout); it or the network \
             is down"
        );
        CloseReason::Lost { cause }
    }

    /// Ends TLS and the connection where that can be done at once.
    fn hang_up(&mut self, cx: &mut Context<'_>) {
        let _ = Pin::new(self.socket.get_mut()).poll_shutdown(cx);
    }
}

fn closed_by_peer(frame: Option<&CloseFrame>) -> CloseReason {
    match frame {
        Some(frame) => CloseReason::ClosedByPeer {
            code: frame.code.into(),
            reason: frame.reason.as_str().to_owned(),
        },
        None => CloseReason::ClosedByPeer {
            code: CloseCode::Status.into(),
            reason: String::new(),
        },
    }
}

/// The frame to say goodbye with. 1005 stands for none; what may not be sent becomes 1000.
fn close_frame(code: u16, reason: &str) -> Option<CloseFrame> {
    let code = match CloseCode::from(code) {
        CloseCode::Status => return None,
        code if code.is_allowed() => code,
        _ => CloseCode::Normal,
    };
    let mut end = reason.len().min(MOST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    Some(CloseFrame {
        code,
        reason: reason[..end].into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goodbye_is_made_fit_to_be_sent() {
        let frame = close_frame(4001, "why").expect("a frame");
        assert_eq!(
            (u16::from(frame.code), frame.reason.as_str()),
            (4001, "why")
        );
        assert_eq!(close_frame(1005, ""), None);
        // 1006 stands for a connection that broke; no frame may run it.
        assert_eq!(
            close_frame(1006, "").map(|frame| frame.code.into()),
            Some(1000)
        );
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let frame = close_frame(1000, &"é".repeat(100)).expect("a frame");
        assert_eq!(frame.reason.as_str(), "é".repeat(61));
    }
}
