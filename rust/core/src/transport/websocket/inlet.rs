//! A stream that two read: the driver whole texts, tungstenite all else.
//!
//! tungstenite keeps a read buffer for each connection, clears it before each read, and copies. At
//! thousands of connections that is memory which has left the processor's cache whenever it is needed
//! again. Nearly all that a server sends are texts in one frame. They are read into a buffer of the
//! thread's and handed out from there; control frames, messages in several frames, and what breaks the
//! protocol or a limit are tungstenite's to judge.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::Header;

thread_local! {
    /// What sockets bring: one buffer for all connections, which stays in the cache.
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Whose the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The driver's: a frame begins.
    Texts,
    /// tungstenite's, as many as are left of a frame.
    Rest(u64),
    /// tungstenite's, which says what it means that nothing more comes.
    Ended,
}

/// Keeps the frames of the two apart.
#[derive(Debug)]
pub(super) struct Inlet<S> {
    stream: S,
    /// How much is read at once.
    at_once: usize,
    /// The longest text that is not tungstenite's to judge.
    longest: u64,
    /// What was read and not handed out yet. In the driver's turn it begins with a frame.
    kept: Vec<u8>,
    /// How much of it tungstenite has had.
    had: usize,
    /// It may hold whole frames.
    is_unseen: bool,
    turn: Turn,
    /// A message has begun that goes on in other frames.
    is_open: bool,
}

impl<S: AsyncRead + Unpin> Inlet<S> {
    /// `first` was read before; of it and `stream` texts of `longest` bytes at most are handed out.
    pub(super) fn new(stream: S, first: &[u8], at_once: usize, longest: usize) -> Self {
        Self {
            stream,
            at_once: at_once.max(1),
            longest: longest as u64,
            kept: first.to_vec(),
            had: 0,
            is_unseen: !first.is_empty(),
            turn: Turn::Texts,
            is_open: false,
        }
    }

    /// Texts are next, or what is not known yet: [`Inlet::poll_texts`] goes on. Otherwise tungstenite
    /// is to read, until that has changed.
    pub(super) fn has_texts_next(&self) -> bool {
        self.turn == Turn::Texts
    }

    /// Reads once and gives the texts that are whole to `take`, up to the first frame of another kind.
    pub(super) fn poll_texts(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&str),
    ) -> Poll<io::Result<()>> {
        if self.is_unseen {
            self.is_unseen = false;
            let kept = std::mem::take(&mut self.kept);
            self.hand_out(&kept, &mut take);
            return Poll::Ready(Ok(()));
        }
        let mut buffer = READ.take();
        let read = self.poll_stream(cx, &mut buffer);
        if let Poll::Ready(Ok(bytes)) = read {
            if bytes.is_empty() {
                self.turn = Turn::Ended;
            } else {
                let rest = self.complete(bytes, &mut take);
                self.hand_out(rest, &mut take);
            }
        }
        let read = read.map_ok(drop);
        READ.set(buffer);
        read
    }

    fn poll_stream<'a>(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &'a mut Vec<u8>,
    ) -> Poll<io::Result<&'a [u8]>> {
        if buffer.len() < self.at_once {
            buffer.resize(self.at_once, 0);
        }
        let mut read = ReadBuf::new(&mut buffer[..self.at_once]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        let length = read.filled().len();
        Poll::Ready(Ok(&buffer[..length]))
    }

    /// Hands out the frame whose beginning is kept, if its end is in `bytes`, and gives what is behind.
    fn complete<'a>(&mut self, mut bytes: &'a [u8], take: &mut impl FnMut(&str)) -> &'a [u8] {
        while !self.kept.is_empty() && self.turn == Turn::Texts {
            let header = Header::read(&self.kept);
            // A header is completed by single bytes: what is behind it may be another frame.
            let whole = header.map_or(self.kept.len() as u64 + 1, |header| header.end());
            let missing = usize::try_from(whole).unwrap_or(usize::MAX) - self.kept.len();
            if missing > 0 && header.is_none_or(|header| self.is_text(header)) {
                let (more, rest) = bytes.split_at(missing.min(bytes.len()));
                if more.is_empty() {
                    break;
                }
                self.kept.extend_from_slice(more);
                bytes = rest;
            } else {
                let kept = std::mem::take(&mut self.kept);
                self.hand_out(&kept, take);
            }
        }
        bytes
    }

    /// Hands out the texts that `bytes` begin with, and keeps the rest.
    fn hand_out(&mut self, bytes: &[u8], take: &mut impl FnMut(&str)) {
        let mut rest = bytes;
        while self.turn == Turn::Texts
            && let Some(header) = Header::read(rest)
        {
            if !self.is_text(header) {
                self.is_open = header.leaves_open().unwrap_or(self.is_open);
                self.turn = Turn::Rest(header.end());
                break;
            }
            let Some((frame, behind)) = usize::try_from(header.end())
                .ok()
                .and_then(|end| rest.split_at_checked(end))
            else {
                break;
            };
            let Ok(text) = std::str::from_utf8(&frame[header.payload_at..]) else {
                self.turn = Turn::Rest(header.end());
                break;
            };
            take(text);
            rest = behind;
        }
        self.kept.extend_from_slice(rest);
    }

    /// It can be handed out once it is whole.
    fn is_text(&self, header: Header) -> bool {
        header.is_whole_text() && !self.is_open && header.length <= self.longest
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Inlet<S> {
    /// For tungstenite: the rest of a frame that is its own, and then nothing until there is another.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inlet = self.get_mut();
        let left = match inlet.turn {
            // Nobody is woken: the driver goes on to read.
            Turn::Texts => return Poll::Pending,
            Turn::Ended => return Poll::Ready(Ok(())),
            Turn::Rest(left) => left,
        };
        if inlet.had == inlet.kept.len() {
            let mut buffer = READ.take();
            let read = inlet
                .poll_stream(cx, &mut buffer)
                .map_ok(<[u8]>::to_vec);
            READ.set(buffer);
            inlet.kept = ready!(read)?;
            inlet.had = 0;
            if inlet.kept.is_empty() {
                inlet.turn = Turn::Ended;
                return Poll::Ready(Ok(()));
            }
        }
        let there = &inlet.kept[inlet.had..];
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let part = &there[..there.len().min(buf.remaining()).min(most)];
        buf.put_slice(part);
        inlet.had += part.len();
        inlet.turn = Turn::Rest(left - part.len() as u64);
        if inlet.turn == Turn::Rest(0) {
            inlet.turn = Turn::Texts;
            inlet.kept = inlet.kept.split_off(inlet.had);
            inlet.had = 0;
            inlet.is_unseen = !inlet.kept.is_empty();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Inlet<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
