//! The writing side of a socket: the driver writes texts to it, and tungstenite control frames.
//!
//! tungstenite copies each message into a write buffer of the connection. With thousands of
//! connections those buffers are out of the processor's cache whenever they are needed. The driver
//! frames its texts in a buffer that all connections of a thread share, and writes them from there.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Interleaves the frames of the driver and of tungstenite without mixing their bytes.
#[derive(Debug)]
pub(super) struct Outlet<S> {
    stream: S,
    /// Bytes of the driver's frames that the stream has not accepted yet.
    pending: Vec<u8>,
    /// tungstenite has written a part of a frame; the rest of it must come next.
    within_frame: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Outlet<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            pending: Vec::new(),
            within_frame: false,
        }
    }

    pub(super) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Whether frames wait because the stream takes no more for now.
    pub(super) fn is_behind(&self) -> bool {
        !self.pending.is_empty() || self.within_frame
    }

    /// Writes whole frames. Bytes that the stream does not accept now go out with the next write or
    /// flush.
    pub(super) fn write_frames(
        &mut self,
        cx: &mut Context<'_>,
        mut frames: &[u8],
    ) -> io::Result<()> {
        if self.pending.is_empty() && !self.within_frame {
            while !frames.is_empty() {
                match Pin::new(&mut self.stream).poll_write(cx, frames)? {
                    Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(written) => frames = &frames[written..],
                    Poll::Pending => break,
                }
            }
        }
        self.pending.extend_from_slice(frames);
        Ok(())
    }

    /// Writes the bytes in `pending`.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut written = 0;
        let end = loop {
            if written == self.pending.len() {
                break Poll::Ready(Ok(()));
            }
            match Pin::new(&mut self.stream).poll_write(cx, &self.pending[written..]) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(more)) => written += more,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.pending.drain(..written);
        if self.pending.is_empty() {
            // Free it: it is rarely needed.
            self.pending = Vec::new();
        }
        end
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Outlet<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Outlet<S> {
    /// For tungstenite, which passes all of its buffer, and after a partial write the rest of it.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outlet = self.get_mut();
        if !outlet.within_frame {
            ready!(outlet.poll_pending(cx))?;
        }
        let written = ready!(Pin::new(&mut outlet.stream).poll_write(cx, buf))?;
        outlet.within_frame = written < buf.len();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outlet = self.get_mut();
        if !outlet.within_frame {
            ready!(outlet.poll_pending(cx))?;
        }
        Pin::new(&mut outlet.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    #[derive(Debug, Clone)]
    enum Act {
        /// The driver writes a frame.
        Ours(u8, usize),
        /// tungstenite has a frame to write.
        Theirs(u8, usize),
        Flush,
        /// The far side reads this many bytes.
        Read(usize),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (any::<u8>(), 1..40_usize).prop_map(|(byte, length)| Act::Ours(byte, length)),
            (any::<u8>(), 1..40_usize).prop_map(|(byte, length)| Act::Theirs(byte, length)),
            Just(Act::Flush),
            (1..60_usize).prop_map(Act::Read),
        ]
    }

    /// A frame that begins with its length.
    fn frame(byte: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![byte; length];
        frame.insert(0, length as u8);
        frame
    }

    fn frames(mut stream: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while let Some(length) = stream.first() {
            let (frame, rest) = stream.split_at(usize::from(*length) + 1);
            found.push(frame.to_vec());
            stream = rest;
        }
        found
    }

    /// tungstenite's side: it writes what it has left, all at once, and then flushes.
    fn write_theirs<S: AsyncRead + AsyncWrite + Unpin>(
        outlet: &mut Outlet<S>,
        cx: &mut Context<'_>,
        left: &mut Vec<u8>,
    ) {
        while !left.is_empty() {
            match Pin::new(&mut *outlet).poll_write(cx, left) {
                Poll::Ready(written) => drop(left.drain(..written.unwrap())),
                Poll::Pending => return,
            }
        }
        let _ = Pin::new(outlet).poll_flush(cx);
    }

    proptest! {
        /// However little the stream accepts at a time, each frame arrives whole, and the frames of
        /// each writer arrive in order.
        #[test]
        fn frames_are_never_mixed(acts in prop::collection::vec(act(), 0..60)) {
            let mut cx = Context::from_waker(Waker::noop());
            let (near, mut far) = duplex(16);
            let mut outlet = Outlet::new(near);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            let (mut left, mut read) = (Vec::new(), Vec::new());
            let take = |far: &mut tokio::io::DuplexStream, most: usize, read: &mut Vec<u8>| {
                let mut bytes = vec![0; most];
                let mut buf = ReadBuf::new(&mut bytes);
                let mut cx = Context::from_waker(Waker::noop());
                let _ = Pin::new(far).poll_read(&mut cx, &mut buf);
                read.extend_from_slice(buf.filled());
                buf.filled().len()
            };
            for act in acts {
                match act {
                    // The highest bit tells who wrote the frame.
                    Act::Ours(byte, length) => {
                        let frame = frame(byte & 0x7f, length);
                        outlet.write_frames(&mut cx, &frame).unwrap();
                        ours.push(frame);
                    }
                    Act::Theirs(byte, length) => {
                        let frame = frame(byte | 0x80, length);
                        left.extend_from_slice(&frame);
                        theirs.push(frame);
                        write_theirs(&mut outlet, &mut cx, &mut left);
                    }
                    Act::Flush => write_theirs(&mut outlet, &mut cx, &mut left),
                    Act::Read(most) => drop(take(&mut far, most, &mut read)),
                }
            }
            loop {
                write_theirs(&mut outlet, &mut cx, &mut left);
                if take(&mut far, 64, &mut read) == 0 {
                    break;
                }
            }
            let (read_theirs, read_ours): (Vec<_>, Vec<_>) =
                frames(&read).into_iter().partition(|frame| frame[1] >= 0x80);
            prop_assert_eq!(read_ours, ours);
            prop_assert_eq!(read_theirs, theirs);
        }
    }
}
