//! The reading side of a socket: the driver reads whole messages from it, and tungstenite everything
//! else.
//!
//! tungstenite keeps a read buffer for each connection, clears it before each read, and copies from it.
//! With thousands of connections those buffers are out of the processor's cache whenever they are
//! needed. Nearly all messages stand in one frame. The driver reads these into a buffer that all
//! connections of a thread share, and passes them on from there. tungstenite handles control frames,
//! messages in several frames, and whatever breaks the protocol or a limit.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::{Header, Whole, mask};
use crate::transport::endpoint::Frame;

thread_local! {
    /// The read buffer of this thread. All its connections share it, so that it stays in the cache.
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// Where masked messages are unmasked; shared for the same reason.
    static UNMASKED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// With its header and key, in bytes (RFC 6455, section 5.5).
const LONGEST_CONTROL_FRAME: usize = 131;

/// The capacity that a thread's buffer for unmasked messages keeps, in bytes.
const MAX_KEPT_CAPACITY: usize = 256 * 1024;

/// Who reads the next bytes of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The driver: a frame begins.
    Messages,
    /// tungstenite, this many bytes: the rest of a frame.
    Rest(u64),
    /// tungstenite, which reports the end of the stream.
    End,
}

/// Splits the incoming frames between the driver and tungstenite.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub(super) struct Inlet<S> {
    stream: S,
    /// Bytes per read.
    read_size: usize,
    /// The longest message that the driver takes; tungstenite rejects longer ones.
    max_message: u64,
    /// The far side masks its frames, as a client does.
    is_masked: bool,
    /// Bytes that were read and not passed on yet. In the driver's turn they begin with a frame.
    kept: Vec<u8>,
    /// How many bytes of `kept` tungstenite has read.
    consumed: usize,
    /// `kept` was not parsed yet and may hold whole frames.
    is_unparsed: bool,
    turn: Turn,
    /// A message of several frames has begun and not ended.
    is_open: bool,
    /// The close frame, as far as tungstenite has read it.
    close: Vec<u8>,
    is_close: bool,
}

impl<S: AsyncRead + Unpin> Inlet<S> {
    /// Reads from `first`, which was read before, and then from `stream`. The driver takes messages of at
    /// most `max_message` bytes; `is_masked`: as those of a client are.
    pub(super) fn new(
        stream: S,
        first: &[u8],
        read_size: usize,
        max_message: usize,
        is_masked: bool,
    ) -> Self {
        Self {
            stream,
            read_size: read_size.max(1),
            max_message: max_message as u64,
            is_masked,
            kept: first.to_vec(),
            consumed: 0,
            is_unparsed: !first.is_empty(),
            turn: Turn::Messages,
            is_open: false,
            close: Vec::new(),
            is_close: false,
        }
    }

    /// The code and reason of the close frame, as the server sent them: tungstenite gives 1002 in place
    /// of a code that no frame may carry, and nothing of a reason that is not UTF-8.
    pub(super) fn close_frame(&self) -> Option<(u16, String)> {
        let header = Header::read(&self.close)?;
        let mut payload = self.close.get(header.payload_at..)?.to_vec();
        if payload.len() as u64 != header.length {
            return None;
        }
        if let Some(key) = header.key(&self.close) {
            mask(&mut payload, key);
        }
        let (code, reason) = payload.split_first_chunk()?;
        let reason = String::from_utf8_lossy(reason).into_owned();
        Some((u16::from_be_bytes(*code), reason))
    }

    /// Reads once and forgets what was read; whether the stream goes on.
    pub(super) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut buffer = READ.take();
        let read = self
            .poll_stream(cx, &mut buffer)
            .map_ok(|bytes| !bytes.is_empty());
        READ.set(buffer);
        read
    }

    /// Whether the driver reads next, by [`Inlet::poll_messages`]. Otherwise tungstenite reads until this
    /// becomes true again.
    pub(super) fn has_messages_next(&self) -> bool {
        self.turn == Turn::Messages
    }

    /// Reads once and passes each whole message to `take`, up to the first frame of another kind.
    pub(super) fn poll_messages(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(Frame<'_>),
    ) -> Poll<io::Result<()>> {
        if self.is_unparsed {
            self.is_unparsed = false;
            let kept = std::mem::take(&mut self.kept);
            self.hand_out(&kept, &mut take);
            return Poll::Ready(Ok(()));
        }
        let mut buffer = READ.take();
        let read = self.poll_stream(cx, &mut buffer);
        if let Poll::Ready(Ok(bytes)) = read {
            if bytes.is_empty() {
                self.turn = Turn::End;
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
        if buffer.len() < self.read_size {
            buffer.resize(self.read_size, 0);
        }
        let mut read = ReadBuf::new(&mut buffer[..self.read_size]);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        let length = read.filled().len();
        Poll::Ready(Ok(&buffer[..length]))
    }

    /// Passes on the frame whose beginning is in `kept`, if `bytes` complete it. Returns the bytes
    /// behind it.
    fn complete<'a>(&mut self, mut bytes: &'a [u8], take: &mut impl FnMut(Frame<'_>)) -> &'a [u8] {
        while !self.kept.is_empty() && self.turn == Turn::Messages {
            let header = Header::read(&self.kept);
            // An incomplete header is filled byte by byte: the bytes behind it may be another frame.
            let whole = header.map_or(self.kept.len() as u64 + 1, |header| header.end());
            let missing = usize::try_from(whole).unwrap_or(usize::MAX) - self.kept.len();
            if missing > 0 && header.is_none_or(|header| self.whole(header).is_some()) {
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

    /// Passes on the messages that `bytes` begin with, and keeps the rest.
    fn hand_out(&mut self, bytes: &[u8], take: &mut impl FnMut(Frame<'_>)) {
        let mut rest = bytes;
        while self.turn == Turn::Messages
            && let Some(header) = Header::read(rest)
        {
            let Some(whole) = self.whole(header) else {
                self.is_open = header.leaves_open().unwrap_or(self.is_open);
                self.turn = Turn::Rest(header.end());
                self.is_close = header.is_close();
                break;
            };
            let Some((frame, behind)) = usize::try_from(header.end())
                .ok()
                .and_then(|end| rest.split_at_checked(end))
            else {
                break;
            };
            if !pass_on(whole, header, frame, take) {
                self.turn = Turn::Rest(header.end());
                break;
            }
            rest = behind;
        }
        self.kept.extend_from_slice(rest);
    }

    /// What the frame holds, if the driver passes it on once it is complete.
    fn whole(&self, header: Header) -> Option<Whole> {
        let is_taken = !self.is_open && header.length <= self.max_message;
        is_taken.then(|| header.whole(self.is_masked)).flatten()
    }
}

/// Passes on the message of a frame; false where it is a text that is not UTF-8.
fn pass_on(whole: Whole, header: Header, frame: &[u8], take: &mut impl FnMut(Frame<'_>)) -> bool {
    let payload = &frame[header.payload_at..];
    let Some(key) = header.key(frame) else {
        return take_payload(whole, payload, take);
    };
    let mut unmasked = UNMASKED.take();
    unmasked.clear();
    unmasked.shrink_to(MAX_KEPT_CAPACITY);
    unmasked.extend_from_slice(payload);
    mask(&mut unmasked, key);
    let is_taken = take_payload(whole, &unmasked, take);
    UNMASKED.set(unmasked);
    is_taken
}

fn take_payload(whole: Whole, payload: &[u8], take: &mut impl FnMut(Frame<'_>)) -> bool {
    match whole {
        Whole::Binary => take(Frame::Binary(payload)),
        Whole::Text => match std::str::from_utf8(payload) {
            Ok(text) => take(Frame::Text(text)),
            Err(_) => return false,
        },
    }
    true
}

impl<S: AsyncRead + Unpin> AsyncRead for Inlet<S> {
    /// For tungstenite: yields the rest of its frame, then pending until its next frame.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inlet = self.get_mut();
        let left = match inlet.turn {
            // No waker is needed: the driver itself reads next.
            Turn::Messages => return Poll::Pending,
            Turn::End => return Poll::Ready(Ok(())),
            Turn::Rest(left) => left,
        };
        if inlet.consumed == inlet.kept.len() {
            let mut buffer = READ.take();
            let read = inlet.poll_stream(cx, &mut buffer).map_ok(<[u8]>::to_vec);
            READ.set(buffer);
            inlet.kept = ready!(read)?;
            inlet.consumed = 0;
            if inlet.kept.is_empty() {
                inlet.turn = Turn::End;
                return Poll::Ready(Ok(()));
            }
        }
        let there = &inlet.kept[inlet.consumed..];
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let part = &there[..there.len().min(buf.remaining()).min(most)];
        buf.put_slice(part);
        if inlet.is_close && inlet.close.len() < LONGEST_CONTROL_FRAME {
            inlet.close.extend_from_slice(part);
        }
        inlet.consumed += part.len();
        inlet.turn = Turn::Rest(left - part.len() as u64);
        if inlet.turn == Turn::Rest(0) {
            inlet.turn = Turn::Messages;
            inlet.kept = inlet.kept.split_off(inlet.consumed);
            inlet.consumed = 0;
            inlet.is_unparsed = !inlet.kept.is_empty();
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::task::Waker;

    use futures_util::StreamExt;
    use proptest::prelude::*;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
    use tokio_tungstenite::tungstenite::{Error, Message};

    use super::*;

    const LONGEST_FRAME: usize = 200;
    const LONGEST_MESSAGE: usize = 300;

    /// A stream that yields its pieces one at a time, each after a pending poll, and then ends.
    #[derive(Debug)]
    struct Pieces {
        pieces: VecDeque<Vec<u8>>,
        has_paused: bool,
    }

    impl Pieces {
        fn new(bytes: &[u8], lengths: &[usize]) -> Self {
            let (mut rest, mut lengths) = (bytes, lengths.iter().cycle());
            let mut pieces = VecDeque::new();
            while !rest.is_empty() {
                let length = lengths.next().map_or(rest.len(), |length| *length);
                let (piece, behind) = rest.split_at(length.min(rest.len()));
                pieces.push_back(piece.to_vec());
                rest = behind;
            }
            Self {
                pieces,
                has_paused: false,
            }
        }
    }

    impl AsyncRead for Pieces {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let this = self.get_mut();
            this.has_paused = !this.has_paused;
            if this.has_paused {
                return Poll::Pending;
            }
            if let Some(mut piece) = this.pieces.pop_front() {
                let rest = piece.split_off(piece.len().min(buf.remaining()));
                buf.put_slice(&piece);
                if !rest.is_empty() {
                    this.pieces.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Pieces {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn config() -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(32)
            .max_frame_size(Some(LONGEST_FRAME))
            .max_message_size(Some(LONGEST_MESSAGE))
    }

    /// The messages of a connection, and how it ended.
    #[derive(Debug, PartialEq)]
    struct Received {
        messages: Vec<Message>,
        end: String,
    }

    /// A stream that yields all bytes at once and drops what is written to it.
    struct Source<'a>(&'a [u8]);

    impl io::Read for Source<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }

    impl io::Write for Source<'_> {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What tungstenite alone receives.
    fn received_by_tungstenite(role: Role, bytes: &[u8]) -> Received {
        let stream = Source(bytes);
        let mut socket = WebSocket::from_raw_socket(stream, role, Some(config()));
        let mut messages = Vec::new();
        loop {
            match socket.read() {
                Ok(message) if message.is_close() => {
                    messages.push(message);
                    let end = "closed".to_owned();
                    return Received { messages, end };
                }
                Ok(message) => messages.push(message),
                Err(error) => {
                    let end = error.to_string();
                    return Received { messages, end };
                }
            }
        }
    }

    /// What the driver and tungstenite receive together.
    fn received_through_inlet(
        role: Role,
        first: &[u8],
        stream: Pieces,
        read_size: usize,
    ) -> Received {
        let longest = LONGEST_FRAME.min(LONGEST_MESSAGE);
        let inlet = Inlet::new(stream, first, read_size, longest, role == Role::Server);
        let socket = WebSocketStream::from_raw_socket(inlet, role, Some(config()));
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(mut socket) = std::pin::pin!(socket).as_mut().poll(&mut cx) else {
            panic!("it does not wait");
        };
        let mut messages = Vec::new();
        let mut turns = 0;
        let end = loop {
            turns += 1;
            assert!(turns < 100_000, "neither side reads on");
            let inlet = socket.get_mut();
            if inlet.has_messages_next() {
                let take = |frame: Frame<'_>| {
                    messages.push(match frame {
                        Frame::Text(text) => Message::text(text),
                        Frame::Binary(bytes) => Message::binary(bytes.to_vec()),
                    });
                };
                if let Poll::Ready(result) = inlet.poll_messages(&mut cx, take) {
                    result.expect("the stream does not fail");
                }
                continue;
            }
            match socket.poll_next_unpin(&mut cx) {
                Poll::Ready(Some(Ok(message))) => {
                    let is_close = message.is_close();
                    messages.push(message);
                    if is_close {
                        break "closed".to_owned();
                    }
                }
                Poll::Ready(Some(Err(error))) => break error.to_string(),
                Poll::Ready(None) => break Error::ConnectionClosed.to_string(),
                Poll::Pending => {}
            }
        };
        Received { messages, end }
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ ..126 => frame.push(length as u8),
            length @ ..65_536 => {
                frame.push(126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    /// The same frames as a client sends them, as far as they are whole.
    fn masked(mut frames: &[u8], key: [u8; 4]) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(header) = Header::read(frames)
            && header.key(frames).is_none()
            && let Some((frame, rest)) = frames.split_at_checked(header.end() as usize)
        {
            let (head, payload) = frame.split_at(header.payload_at);
            all.extend_from_slice(head);
            if let Some(second) = all.len().checked_sub(head.len() - 1) {
                all[second] |= 0x80;
            }
            all.extend_from_slice(&key);
            let start = all.len();
            all.extend_from_slice(payload);
            mask(&mut all[start..], key);
            frames = rest;
        }
        all.extend_from_slice(frames);
        all
    }

    fn message() -> impl Strategy<Value = Vec<u8>> {
        let text = || prop_oneof![4 => ".{0,40}", 1 => "[a-zé]{100,130}", 1 => "[a-z]{190,210}"];
        prop_oneof![
            8 => text().prop_map(|text| frame(0x81, text.as_bytes())),
            2 => (text(), text(), any::<bool>()).prop_map(|(one, two, pinged)| {
                let mut frames = frame(0x01, one.as_bytes());
                if pinged {
                    frames.extend(frame(0x89, b"within"));
                }
                frames.extend(frame(0x80, two.as_bytes()));
                frames
            }),
            1 => prop::collection::vec(any::<u8>(), 0..50).prop_map(|bytes| frame(0x82, &bytes)),
            1 => Just(frame(0x89, b"ping")),
            1 => Just(frame(0x8a, b"")),
        ]
    }

    /// The last bytes of a connection: a proper end, a violation of the protocol, or a cut.
    fn ending() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(Vec::new()),
            Just(frame(0x88, &[3, 232, b'b', b'y', b'e'])),
            // Not UTF-8, masked, with an extension's bit, of no known kind, begun twice, not begun.
            Just(frame(0x81, &[b'a', 0xff])),
            Just(vec![0x81, 0x81, 1, 2, 3, 4, 5]),
            Just(frame(0xc1, b"a")),
            Just(frame(0x83, b"a")),
            Just([frame(0x01, b"a"), frame(0x81, b"b")].concat()),
            Just(frame(0x80, b"a")),
            // Cut off.
            Just(vec![0x81]),
            Just(vec![0x81, 126, 0]),
            Just(frame(0x81, b"whole")[..4].to_vec()),
            prop::collection::vec(any::<u8>(), 0..40),
        ]
    }

    proptest! {
        /// However the bytes are split, the messages and the end are those of tungstenite alone.
        #[test]
        fn the_messages_are_those_of_tungstenite_alone(
            messages in prop::collection::vec(message(), 0..12),
            ending in ending(),
            key in prop::option::of(any::<[u8; 4]>()),
            lengths in prop::collection::vec(1..400_usize, 1..8),
            first in 0..60_usize,
            read_size in 1..500_usize,
        ) {
            let mut bytes = messages.concat();
            bytes.extend(ending);
            let role = if key.is_some() { Role::Server } else { Role::Client };
            let bytes = key.map_or_else(|| bytes.clone(), |key| masked(&bytes, key));
            let (first, rest) = bytes.split_at(first.min(bytes.len()));
            let pieces = Pieces::new(rest, &lengths);
            let received = received_through_inlet(role, first, pieces, read_size);
            prop_assert_eq!(received, received_by_tungstenite(role, &bytes));
        }

        #[test]
        fn a_header_tells_kind_and_length(text in "[a-z]{0,300}", open: bool) {
            let frame = frame(if open { 0x01 } else { 0x81 }, text.as_bytes());
            let header = Header::read(&frame).expect("it is whole");
            prop_assert_eq!(header.end(), frame.len() as u64);
            prop_assert_eq!(header.whole(false), (!open).then_some(Whole::Text));
            prop_assert_eq!(header.whole(true), None);
            prop_assert_eq!(header.leaves_open(), open.then_some(true));
            for cut in 0..header.payload_at {
                prop_assert_eq!(Header::read(&frame[..cut]), None);
            }
        }
    }

    #[test]
    fn between_whole_texts_a_connection_keeps_no_buffer() {
        let bytes = [frame(0x81, &[b'a'; 150]), frame(0x81, b"short")].concat();
        let mut inlet = Inlet::new(Pieces::new(&bytes, &[100]), b"", 1024, LONGEST_FRAME, false);
        let mut cx = Context::from_waker(Waker::noop());
        let mut lengths = Vec::new();
        while inlet.turn == Turn::Messages {
            let _ = inlet.poll_messages(&mut cx, |frame| {
                if let Frame::Text(text) = frame {
                    lengths.push(text.len());
                }
            });
        }
        assert_eq!(lengths, [150, 5]);
        assert_eq!(inlet.kept.capacity(), 0);
    }
}
