//! The sockets of a call: one for each address that it may be reached at.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::net::UdpSocket;
use tracing::trace;

/// The sockets of one call.
#[derive(Debug)]
pub(super) struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
}

impl Sockets {
    /// One at each of these addresses.
    pub async fn bind(addresses: &[IpAddr]) -> io::Result<Self> {
        let mut sockets = Vec::with_capacity(addresses.len());
        for address in addresses {
            let socket = UdpSocket::bind((*address, 0)).await?;
            sockets.push((socket.local_addr()?, socket));
        }
        Ok(Self { sockets })
    }

    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address)
    }

    /// Sends a datagram at once. What the machine has no room for is lost, as on the network.
    pub fn send(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let Some((_, socket)) = self.sockets.iter().find(|(address, _)| *address == from) else {
            return;
        };
        // Past the runtime, which would have to have seen first that a new socket can be written to.
        if let Err(error) = SockRef::from(socket).send_to(datagram, &to.into()) {
            trace!(%error, %to, "a datagram was not sent");
        }
    }

    /// Ready when there may be something to read.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut ready = Poll::Pending;
        for (_, socket) in &self.sockets {
            if socket.poll_recv_ready(context).is_ready() {
                ready = Poll::Ready(());
            }
        }
        ready
    }

    /// Reads up to `most` datagrams of each socket into `buffer`, one after the other.
    pub fn read(
        &self,
        buffer: &mut [u8],
        most: usize,
        mut take: impl FnMut(&[u8], SocketAddr, SocketAddr),
    ) {
        for (local, socket) in &self.sockets {
            for _ in 0..most {
                match socket.try_recv_from(buffer) {
                    Ok((length, source)) => take(&buffer[..length], source, *local),
                    // An ICMP error of something that was sent is reported here, once.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                    Err(_) => break,
                }
            }
        }
    }
}
