//! Carries one client's conversation over its socket.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::conversation::{Conversation, Pace};
use crate::counts::{Counts, add};
use crate::frame::{CHUNK_BYTES, control};
use crate::inbound::{Inbound, Said};
use crate::options::Options;
use crate::outbox::Outbox;
use crate::script::Outgoing;

/// The time between two paced steps.
const TICK: Duration = Duration::from_millis(100);
/// Steps that are written at once where no pace is kept.
const BATCH: usize = 16;
/// Reads before others have their turn.
const READS: usize = 4;
const READ_BYTES: usize = 64 * 1024;
/// A chunk of microphone audio in base64.
const MIC_CHARS: usize = CHUNK_BYTES / 3 * 4;

thread_local! {
    /// What is read is looked at before anybody else reads: one buffer does for all.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Speaks with a client until it goes.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    options: Options,
    counts: Arc<Counts>,
) -> io::Result<()> {
    let conversation = Conversation::new(options, counts.clone());
    let mut fresh = Vec::new();
    conversation.greet(&mut fresh);
    let mut connection = Connection {
        stream,
        counts,
        conversation,
        inbound: Inbound::default(),
        outbox: Outbox::default(),
        fresh,
        due: None,
        sleep: Box::pin(sleep_until(Instant::now())),
        is_closing: false,
    };
    poll_fn(|cx| connection.poll(cx)).await
}

struct Connection<S> {
    stream: S,
    counts: Arc<Counts>,
    conversation: Conversation,
    inbound: Inbound,
    outbox: Outbox,
    /// Frames that are not in the outbox yet.
    fresh: Vec<Outgoing>,
    /// When the next paced step is due.
    due: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
    /// The client said goodbye.
    is_closing: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.poll_read(cx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.send_each(cx)?;
        match self.conversation.pace {
            Pace::RealTime => self.keep_pace(cx)?,
            Pace::Full => self.pump(cx)?,
        }
        let written = self.outbox.poll_write(&mut self.stream, cx)?;
        if self.is_closing && written.is_ready() {
            return Pin::new(&mut self.stream).poll_shutdown(cx);
        }
        Poll::Pending
    }

    /// Is ready when the client is gone.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..READS {
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
                Poll::Ready(self.hear(buffer.filled()))
            });
            if ready!(read)? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes in what was read; how much it was.
    fn hear(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self {
            counts,
            conversation,
            fresh,
            is_closing,
            ..
        } = self;
        let heard = self.inbound.feed(bytes, |said| match said {
            Said::Audio(length) => {
                add(&counts.mic_frames, 1);
                add(&counts.mic_bad, u64::from(length < MIC_CHARS));
            }
            Said::Event(text) => match serde_json::from_slice(&text) {
                Ok(event) => conversation.hear(&event, fresh),
                Err(_) => add(&counts.unreadable, 1),
            },
            Said::Ping(payload) => fresh.push(control(10, &payload).into()),
            Said::Close(payload) => {
                *is_closing = true;
                fresh.push(control(8, &payload).into());
            }
        });
        if heard.is_err() {
            add(&self.counts.unreadable, 1);
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(bytes.len())
    }

    /// Sends what is due, each frame in a write of its own, as a server sends what it has when it
    /// has it.
    fn send_each(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        add(&self.counts.frames_sent, self.fresh.len() as u64);
        for frame in self.fresh.drain(..) {
            self.outbox.push(frame);
            let _ = self.outbox.poll_write(&mut self.stream, cx)?;
        }
        Ok(())
    }

    /// Steps on the schedule that began with the response.
    fn keep_pace(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.conversation.is_streaming() {
            let now = Instant::now();
            let due = *self.due.get_or_insert(now);
            if due > now {
                if self.sleep.deadline() != due {
                    self.sleep.as_mut().reset(due);
                }
                if self.sleep.as_mut().poll(cx).is_pending() {
                    return Ok(());
                }
            }
            self.counts.late(now.saturating_duration_since(due));
            self.conversation.step(&mut self.fresh);
            self.due = Some(due + TICK);
            self.send_each(cx)?;
        }
        self.due = None;
        Ok(())
    }

    /// Steps until the socket pushes back, a batch at a time.
    fn pump(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.conversation.is_streaming()
            || self.outbox.poll_write(&mut self.stream, cx)?.is_pending()
        {
            return Ok(());
        }
        for _ in 0..BATCH {
            self.conversation.step(&mut self.fresh);
        }
        add(&self.counts.frames_sent, self.fresh.len() as u64);
        for frame in self.fresh.drain(..) {
            self.outbox.push(frame);
        }
        if self.outbox.poll_write(&mut self.stream, cx)?.is_ready() {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }
}
