//! Reading: whole messages and what else the far side sends.

use std::ops::ControlFlow::{self, Break, Continue};
use std::task::{Context, Poll};

use futures_util::{SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Driver, Stage};
use crate::transport::endpoint::{CloseReason, Endpoint, Frame};
use crate::transport::websocket::end::{cause_of, close_code_for};
use crate::transport::websocket::keepalive::later;

/// The number of reads, or of messages taken from tungstenite, before the driver writes again.
const READ_TURN: usize = 4;

/// What one turn of reading found.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    Nothing,
    /// Data, and the socket has no more of it.
    Last,
    /// Data, and there may be more.
    More,
}

impl<E: Endpoint + ?Sized> Driver<E> {
    /// Reads what has arrived, at most [`READ_TURN`] times.
    pub(super) fn read(&mut self, cx: &mut Context<'_>) -> ControlFlow<CloseReason, Reading> {
        match self.stage {
            Stage::Open if self.held => return Continue(Reading::Nothing),
            Stage::CloseReceived(_) => return Continue(Reading::Nothing),
            Stage::Open | Stage::CloseSent => {}
        }
        let mut has_read = false;
        for _ in 0..READ_TURN {
            if self.endpoint.should_yield() {
                // Yield: the next turn continues. Unread data counts as activity until then.
                cx.waker().wake_by_ref();
                self.note_activity(Instant::now());
                return Continue(Reading::Last);
            }
            if self.poll_read(cx)?.is_pending() {
                if let Some(lost) = self.failure.take() {
                    return Break(lost);
                }
                if !has_read {
                    return Continue(Reading::Nothing);
                }
                self.note_activity(Instant::now());
                return Continue(Reading::Last);
            }
            has_read = true;
            if matches!(self.stage, Stage::CloseReceived(_)) {
                break;
            }
        }
        self.note_activity(Instant::now());
        Continue(Reading::More)
    }

    /// Reads whole messages, or one of another kind.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> ControlFlow<CloseReason, Poll<()>> {
        let inlet = self.socket.get_mut().stream();
        if inlet.has_messages_next() {
            let (endpoint, is_open) = (&self.endpoint, matches!(self.stage, Stage::Open));
            let read = inlet.poll_messages(cx, |frame| {
                // Messages that arrive after our close frame are dropped.
                if is_open {
                    endpoint.on_frame(frame);
                }
            });
            return match read {
                Poll::Ready(Err(error)) => Break(self.read_failed(cx, &Error::Io(error))),
                Poll::Ready(Ok(())) => Continue(Poll::Ready(())),
                Poll::Pending => Continue(Poll::Pending),
            };
        }
        match self.socket.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(message))) => self.receive(&message)?,
            Poll::Ready(Some(Err(error))) => return Break(self.read_failed(cx, &error)),
            Poll::Ready(None) => return Break(self.read_failed(cx, &Error::ConnectionClosed)),
            // tungstenite has read all of its frame, but the message is not complete: the next frame
            // decides who reads.
            Poll::Pending if self.socket.get_mut().stream().has_messages_next() => {}
            Poll::Pending => return Continue(Poll::Pending),
        }
        Continue(Poll::Ready(()))
    }

    fn receive(&mut self, message: &Message) -> ControlFlow<CloseReason> {
        match (&self.stage, message) {
            (Stage::Open, Message::Text(text)) => self.endpoint.on_frame(Frame::Text(text)),
            (Stage::Open, Message::Binary(bytes)) => self.endpoint.on_frame(Frame::Binary(bytes)),
            (Stage::Open, Message::Close(frame)) => {
                // tungstenite has queued our close frame, which only has to be flushed.
                let sent = self.socket.get_mut().stream().close_frame();
                let ended = sent.map_or_else(|| closed_by_peer(frame.as_ref()), close_reason);
                if self.failure.is_some() {
                    // Our close frame cannot be written.
                    return Break(ended);
                }
                self.stage = Stage::CloseReceived(ended);
                self.note_control();
                self.timer_at = Some(later(Instant::now(), self.settings.close_timeout));
            }
            (Stage::CloseSent, Message::Close(_)) => return Break(CloseReason::ClosedByUs),
            // tungstenite has queued the pong.
            (_, Message::Ping(_)) => self.note_control(),
            _ => {}
        }
        Continue(())
    }

    /// The reason to report when reading has failed.
    fn read_failed(&mut self, cx: &mut Context<'_>, error: &Error) -> CloseReason {
        if matches!(self.stage, Stage::CloseSent) {
            return CloseReason::ClosedByUs;
        }
        if let Some(code) = close_code_for(error) {
            // Sent only if that is possible at once: the connection is given up in any case.
            let close = CloseFrame {
                code,
                reason: "".into(),
            };
            let _ = self.socket.start_send_unpin(Message::Close(Some(close)));
            let _ = self.socket.poll_flush_unpin(cx);
            self.has_said_goodbye = true;
        }
        if matches!(error, Error::Protocol(_) | Error::Utf8(_))
            && let Some(sent) = self.socket.get_mut().stream().close_frame()
        {
            return close_reason(sent);
        }
        CloseReason::Lost {
            cause: cause_of(error),
        }
    }
}

fn close_reason((code, reason): (u16, String)) -> CloseReason {
    CloseReason::ClosedByPeer { code, reason }
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
