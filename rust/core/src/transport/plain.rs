//! Moves bytes between a stream and an [`Endpoint`], for protocols that frame them by themselves.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};

use super::end::EndGuard;
use super::endpoint::{CloseReason, Endpoint, Frame, Outgoing};
use super::listen::ByteStream;

/// Bytes per read.
const READ: usize = 4 * 1024;

/// Bytes per write: frames are small.
const BATCH: usize = 16 * 1024;

/// Moves bytes until the stream ends. What comes is passed on in pieces, as [`Frame::Binary`].
///
/// `endpoint.on_ended` is called exactly once, whatever becomes of the future.
pub async fn run<E: Endpoint + ?Sized>(stream: ByteStream, endpoint: Arc<E>) {
    let (mut reader, mut writer) = split(stream);
    let end = EndGuard::new(endpoint);
    let ended = tokio::select! {
        ended = read(&mut reader, end.endpoint().as_ref()) => ended,
        ended = write(&mut writer, end.endpoint().as_ref()) => ended,
    };
    end.report(ended);
    let _ = writer.shutdown().await;
}

async fn read<E: Endpoint + ?Sized>(
    reader: &mut ReadHalf<ByteStream>,
    endpoint: &E,
) -> CloseReason {
    let mut buffer = vec![0; READ];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) => {
                let reason = String::new();
                return CloseReason::ClosedByPeer { code: 1005, reason };
            }
            Ok(length) => endpoint.on_frame(Frame::Binary(&buffer[..length])),
            Err(error) => return lost(&error),
        }
    }
}

async fn write<E: Endpoint + ?Sized>(
    writer: &mut WriteHalf<ByteStream>,
    endpoint: &E,
) -> CloseReason {
    let mut batch = Vec::new();
    let mut bytes = Vec::new();
    loop {
        let ready = endpoint.outgoing_ready().notified();
        endpoint.take_outgoing(&mut batch, BATCH);
        if batch.is_empty() {
            ready.await;
            continue;
        }
        let mut is_closed = false;
        bytes.clear();
        for outgoing in batch.drain(..) {
            match outgoing {
                Outgoing::Text(text) => bytes.extend_from_slice(text.as_bytes()),
                Outgoing::Binary(piece) => bytes.extend_from_slice(&piece),
                Outgoing::Close { .. } => {
                    is_closed = true;
                    break;
                }
            }
        }
        // Some far sides want each frame in one piece.
        if let Err(error) = writer.write_all(&bytes).await {
            return lost(&error);
        }
        endpoint.on_flushed();
        if is_closed {
            return CloseReason::ClosedByUs;
        }
    }
}

fn lost(error: &io::Error) -> CloseReason {
    let cause = error.to_string();
    CloseReason::Lost { cause }
}
