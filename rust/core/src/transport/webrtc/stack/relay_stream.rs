//! A byte stream to a TURN server, which firewalls let through that let no UDP out.
//!
//! Each message says how long it is (RFC 8656, sections 3.7 and 12.5), so they follow each other without a
//! frame of their own.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::net::ByteStream;

/// What is read at once.
const PIECE: usize = 4096;

/// The most that waits to be read on, and to be written: one message of the longest kind fits. What is to
/// be sent beyond that is lost, as on a network.
const MAX_BUFFERED: usize = 128 << 10;

/// The header of a STUN message (RFC 8489, section 5), and that of channel data.
const STUN_HEADER: usize = 20;
const CHANNEL_HEADER: usize = 4;

/// A stream of messages to and from a TURN server.
pub(super) struct RelayStream {
    stream: ByteStream,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Why nothing passes any more.
    ended: Option<String>,
}

impl RelayStream {
    pub fn new(stream: ByteStream) -> Self {
        Self {
            stream,
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            ended: None,
        }
    }

    /// The addresses of both ends: ours and the server's.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        self.stream.addresses()
    }

    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// Sends a message now, or as soon as there is room: see [`poll`](Self::poll).
    pub fn send(&mut self, message: &[u8]) {
        if self.outgoing.len() + message.len() > MAX_BUFFERED || self.ended.is_some() {
            return;
        }
        self.outgoing.extend_from_slice(message);
        // What does not fit is written by `poll`, which registers the waker of the task that polls.
        let _ = self.poll_write(&mut Context::from_waker(Waker::noop()));
    }

    /// Writes what waits and reads what has come. Ready when there is a whole message, or the stream has
    /// ended.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.ended.is_some() {
            return Poll::Pending;
        }
        let moved = self
            .poll_write(context)
            .and_then(|()| self.poll_read(context));
        if let Err(error) = moved {
            self.ended = Some(error.to_string());
            return Poll::Ready(());
        }
        match message_length(&self.incoming) {
            Some(length) if self.incoming.len() >= length => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Takes the next whole message.
    pub fn take_message(&mut self) -> Option<BytesMut> {
        let length = message_length(&self.incoming)?;
        (self.incoming.len() >= length).then(|| self.incoming.split_to(length))
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, &self.outgoing) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(written) => self.outgoing.advance(written?),
                Poll::Pending => return Ok(()),
            }
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let mut piece = [0; PIECE];
        while self.incoming.len() < MAX_BUFFERED {
            let mut into = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(context, &mut into) {
                Poll::Ready(Ok(())) if into.filled().is_empty() => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Poll::Ready(read) => {
                    read?;
                    self.incoming.extend_from_slice(into.filled());
                }
                Poll::Pending => break,
            }
        }
        Ok(())
    }
}

/// The length of the message that these bytes begin with, as its header says; `None` before that is whole.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let [first, _, high, low, ..] = *bytes else {
        return None;
    };
    let body = usize::from(u16::from_be_bytes([high, low]));
    // The first two bits tell the two kinds apart. Over a stream channel data is padded to four bytes.
    Some(if first & 0xc0 == 0x40 {
        (CHANNEL_HEADER + body).next_multiple_of(4)
    } else {
        STUN_HEADER + body
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn message(is_channel: bool, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16).to_be_bytes();
        let mut message = vec![if is_channel { 0x40 } else { 0x01 }, 1];
        message.extend(length);
        if !is_channel {
            message.extend([7; 16]);
        }
        message.extend(body);
        if is_channel {
            message.resize(message.len().next_multiple_of(4), 0);
        }
        message
    }

    async fn streams() -> (RelayStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap());
        let (near, far) = tokio::join!(near, listener.accept());
        let near = RelayStream::new(ByteStream::Plain(near.unwrap()));
        (near, far.unwrap().0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn messages_come_whole_however_they_are_cut(
            sent in prop::collection::vec(
                (any::<bool>(), prop::collection::vec(any::<u8>(), 0..300)), 1..12
            ),
            cut in 1_usize..40,
        ) {
            let sent: Vec<_> = sent.iter().map(|(kind, body)| message(*kind, body)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let taken = runtime.block_on(async {
                let (mut near, mut far) = streams().await;
                for piece in sent.concat().chunks(cut) {
                    far.write_all(piece).await.unwrap();
                }
                let mut taken = Vec::new();
                while taken.len() < sent.len() {
                    std::future::poll_fn(|context| near.poll(context)).await;
                    while let Some(message) = near.take_message() {
                        taken.push(message.to_vec());
                    }
                }
                taken
            });
            prop_assert_eq!(taken, sent);
        }
    }

    #[tokio::test]
    async fn an_end_is_told_once_and_what_comes_after_it_is_dropped() {
        let (mut near, far) = streams().await;
        drop(far);
        std::future::poll_fn(|context| near.poll(context)).await;
        assert!(near.ended().is_some());
        near.send(b"more");
        assert!(near.outgoing.is_empty());
        let waker = Waker::noop();
        assert!(near.poll(&mut Context::from_waker(waker)).is_pending());
    }

    #[tokio::test]
    async fn what_the_server_does_not_read_is_bounded() {
        let (mut near, _far) = streams().await;
        for _ in 0..10_000 {
            near.send(&[0x41; 1000]);
        }
        assert!(near.outgoing.len() <= MAX_BUFFERED && !near.outgoing.is_empty());
    }
}
