//! Writing: batches of the endpoint's messages, and the close frame.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures_util::SinkExt;
use tokio::sync::futures::Notified;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Driver, Stage};
use crate::transport::endpoint::{CloseReason, Endpoint, Outgoing};
use crate::transport::websocket::end::cause_of;
use crate::transport::websocket::frame::{self, Whole};
use crate::transport::websocket::keepalive::later;

/// The capacity that a thread's frame buffer keeps, in bytes.
const MAX_KEPT_CAPACITY: usize = 1024 * 1024;

thread_local! {
    /// The frame buffer of this thread. All its connections share it, so that it stays in the cache.
    static FRAMES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The longest reason that a close frame can carry, in bytes (RFC 6455, section 5.5).
const MAX_REASON: usize = 123;

/// The content of the socket's write buffer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Buffered {
    Nothing,
    /// A ping, a pong or a close frame.
    Control,
    /// A batch of the endpoint's, which is told when it has been flushed.
    Batch,
}

impl<E: Endpoint + ?Sized> Driver<E> {
    /// Writes on a thread that has queued messages; false if the task has to continue.
    pub(super) fn write_for_another(&mut self) -> bool {
        // A buffer that is not empty means that the socket is full and the task waits for it.
        let idle = matches!(self.stage, Stage::Open)
            && self.buffered == Buffered::Nothing
            && self.failure.is_none()
            && self.ended_in_writer.is_none();
        if !idle {
            return false;
        }
        match self.write_queued() {
            // The task alone sets the timer.
            Continue(written) => written && self.timer_at.is_none(),
            Break(ended) => {
                self.ended_in_writer = Some(ended);
                false
            }
        }
    }

    fn write_queued(&mut self) -> ControlFlow<CloseReason, bool> {
        let mut no_waker = Context::from_waker(Waker::noop());
        loop {
            self.write_batch(&mut no_waker)?;
            if self.buffered == Buffered::Nothing {
                return Continue(self.failure.is_none());
            }
            // This replaces the waker that the socket has stored. If the socket is full, `false` makes
            // the task poll it again and register its own.
            match self.poll_flush(&mut no_waker) {
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

    pub(super) fn write<'a>(
        &mut self,
        cx: &mut Context<'_>,
        endpoint: &'a E,
        mut ready: Pin<&mut Notified<'a>>,
    ) -> ControlFlow<CloseReason> {
        while self.failure.is_none() {
            if self.buffered > Buffered::Nothing {
                match self.poll_flush(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Err(error)) => return self.fail_writing(&error),
                    Poll::Ready(Ok(())) => self.flushed()?,
                }
            }
            if !matches!(self.stage, Stage::Open) {
                break;
            }
            if !self.may_have_outgoing {
                if ready.as_mut().poll(cx).is_pending() {
                    break;
                }
                ready.set(endpoint.outgoing_ready().notified());
            }
            self.may_have_outgoing = false;
            self.write_batch(cx)?;
        }
        Continue(())
    }

    /// Notes that tungstenite has a control frame to write.
    pub(super) fn note_control(&mut self) {
        self.buffered = self.buffered.max(Buffered::Control);
        self.has_control = true;
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.socket.poll_flush_unpin(cx))?;
        // A pong or a close frame for which the buffer had no room has some now.
        if std::mem::take(&mut self.has_control) {
            return self.socket.poll_flush_unpin(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn flushed(&mut self) -> ControlFlow<CloseReason> {
        let written = std::mem::replace(&mut self.buffered, Buffered::Nothing);
        if written == Buffered::Batch {
            self.endpoint.on_flushed();
            self.may_have_outgoing = true;
        }
        match &self.stage {
            Stage::CloseReceived(ended) => Break(ended.clone()),
            _ => Continue(()),
        }
    }

    /// Takes the endpoint's next batch and writes as much of it as the socket accepts now.
    fn write_batch(&mut self, cx: &mut Context<'_>) -> ControlFlow<CloseReason> {
        let mut batch = std::mem::take(&mut self.batch);
        self.endpoint
            .take_outgoing(&mut batch, self.settings.write_batch_bytes);
        if batch.is_empty() {
            self.batch = batch;
            return Continue(());
        }
        self.buffered = Buffered::Batch;
        if self.keepalive.note_sent() {
            self.timer_at = Some(self.keepalive.begin_sending(Instant::now()));
        }
        let is_client = self.settings.is_client;
        let key = || is_client.then(rand::random);
        let mut close = None;
        let written = FRAMES.with_borrow_mut(|frames| {
            frames.clear();
            frames.shrink_to(MAX_KEPT_CAPACITY);
            for outgoing in batch.drain(..) {
                match outgoing {
                    Outgoing::Text(text) => {
                        frame::append(frames, Whole::Text, text.as_bytes(), key());
                        self.endpoint.recycle(text);
                    }
                    Outgoing::Binary(bytes) => {
                        frame::append(frames, Whole::Binary, &bytes, key());
                    }
                    Outgoing::Close { code, reason } => {
                        close = Some(close_frame(code, &reason));
                        break;
                    }
                }
            }
            self.socket.get_mut().write_frames(cx, frames)
        });
        self.batch = batch;
        let mut written = written.map_err(Error::Io);
        if let Some(close) = close {
            self.stage = Stage::CloseSent;
            self.has_control = true;
            self.timer_at = Some(later(Instant::now(), self.settings.close_timeout));
            written = written.and_then(|()| self.socket.start_send_unpin(Message::Close(close)));
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
            Stage::CloseSent => Break(CloseReason::ClosedByUs),
            Stage::CloseReceived(ended) => Break(ended.clone()),
            // Of a line that timed out there is nothing to read that would tell more.
            Stage::Open if self.held || is_timeout(error) => Break(lost),
            Stage::Open => {
                self.failure = Some(lost);
                Continue(())
            }
        }
    }
}

fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::Io(error) if error.kind() == ErrorKind::TimedOut)
}

/// The close frame for `code` and `reason`: none for 1005, and 1000 for a code that may not be sent.
fn close_frame(code: u16, reason: &str) -> Option<CloseFrame> {
    let code = match CloseCode::from(code) {
        CloseCode::Status => return None,
        code if code.is_allowed() => code,
        _ => CloseCode::Normal,
    };
    let mut end = reason.len().min(MAX_REASON);
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
    fn a_close_code_that_may_not_be_sent_is_replaced() {
        let frame = close_frame(4001, "why").expect("a frame");
        assert_eq!(
            (u16::from(frame.code), frame.reason.as_str()),
            (4001, "why")
        );
        assert_eq!(close_frame(1005, ""), None);
        // 1006 stands for a connection that broke; no frame may carry it.
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
