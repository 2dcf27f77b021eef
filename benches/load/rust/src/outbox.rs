//! What waits to be written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use crate::script::Outgoing;

/// How many parts are written at once.
const AT_ONCE: usize = 64;

#[derive(Debug, Default)]
pub struct Outbox {
    parts: VecDeque<Bytes>,
    /// The stream holds what it has taken but not sent.
    unflushed: bool,
}

impl Outbox {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub fn push(&mut self, frame: Outgoing) {
        self.parts.push_back(frame.head);
        self.parts.extend(frame.tail);
    }

    /// Writes all that the stream takes.
    pub fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(stream);
        while !self.parts.is_empty() {
            let mut slices = [IoSlice::new(&[]); AT_ONCE];
            for (slice, part) in slices.iter_mut().zip(&self.parts) {
                *slice = IoSlice::new(part);
            }
            let filled = self.parts.len().min(AT_ONCE);
            let written = stream.as_mut().poll_write_vectored(cx, &slices[..filled]);
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(written);
        }
        if self.unflushed {
            ready!(stream.as_mut().poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut written: usize) {
        while let Some(part) = self.parts.front_mut() {
            if written < part.len() {
                part.advance(written);
                return;
            }
            written -= part.len();
            self.parts.pop_front();
        }
    }
}
