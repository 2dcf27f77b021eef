//! A byte stream that is either plain or secured.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::tcp;

/// A connection to a server, directly or through a proxy, or from a client. TLS to a server through a
/// proxy that itself uses TLS makes two layers.
#[derive(Debug)]
pub enum ByteStream {
    Plain(TcpStream),
    Secured(Box<TlsStream<ByteStream>>),
}

impl ByteStream {
    /// Has the system end the connection when what was sent stays unacknowledged for so long, where it
    /// can. The keep-alive of the connection notices in any case, only later.
    pub fn limit_unacknowledged(&self, limit: Option<Duration>) {
        match self {
            Self::Plain(stream) => tcp::limit_unacknowledged(stream, limit),
            Self::Secured(stream) => stream.get_ref().0.limit_unacknowledged(limit),
        }
    }

    /// The local address of the stream. A socket for both families has IPv4 addresses as IPv6 ones (RFC 4291,
    /// section 2.5.5.2), which no socket of the other kind reaches.
    #[cfg_attr(
        not(feature = "webrtc"),
        allow(dead_code, reason = "WebRTC media uses the local address of the offer")
    )]
    pub fn local_ip(&self) -> io::Result<IpAddr> {
        match self {
            Self::Plain(stream) => Ok(stream.local_addr()?.ip().to_canonical()),
            Self::Secured(stream) => stream.get_ref().0.local_ip(),
        }
    }

    /// The addresses of both ends, the local one first.
    #[cfg_attr(
        not(feature = "webrtc"),
        allow(dead_code, reason = "TURN over a stream needs both addresses")
    )]
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        match self {
            Self::Plain(stream) => Ok((stream.local_addr()?, stream.peer_addr()?)),
            Self::Secured(stream) => stream.get_ref().0.addresses(),
        }
    }
}

/// Calls a method of the stream, plain or secured.
macro_rules! forward {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            ByteStream::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            ByteStream::Secured(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for ByteStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        forward!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, stream => stream.poll_shutdown(cx))
    }
}
