//! A listener: from an address to the requests and streams of those who come to it.
//!
//! Everything that a stranger can make long is bounded: how many connections there are, how long a
//! request's head may take and be, how long frames and messages are.

mod http;
mod tls;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Request, Response};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

pub use self::tls::{ServerTls, ServerTlsError};
pub use super::net::ByteStream;
use super::websocket::{WebSocketConnection, WebSocketOptions};

/// How long the listener rests after the system had no more descriptors for it.
const REST: Duration = Duration::from_millis(100);

/// The limits of a listener, each with its default.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Connections at once: 10,000. Past it new ones wait in the system's backlog.
    pub max_connections: usize,
    /// How long TLS and the head of a request may take: 10 s.
    pub head_timeout: Duration,
    /// The longest head of a request, in bytes: 16 KiB.
    pub max_head: usize,
    /// The longest body of a request, in bytes: 64 KiB.
    pub max_body: usize,
    /// Of each WebSocket that is accepted; messages of up to 256 KiB.
    pub websocket: WebSocketOptions,
    pub tls: Option<ServerTls>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            head_timeout: Duration::from_secs(10),
            max_head: 16 * 1024,
            max_body: 64 * 1024,
            websocket: WebSocketOptions {
                max_message_size: 256 * 1024,
                max_frame_size: 256 * 1024,
                read_buffer_size: 16 * 1024,
                ..WebSocketOptions::default()
            },
            tls: None,
        }
    }
}

/// The address of this side that a request came to: one of its extensions.
#[derive(Debug, Clone, Copy)]
pub struct LocalAddress(pub IpAddr);

/// What a request is answered with.
pub enum Answer {
    Respond(Response<Bytes>),
    /// The response takes a while. It is made on the runtime that the request came on.
    Later(Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>),
    /// The request is to become a WebSocket. `run` gets it, on the runtime that it came on.
    Upgrade {
        subprotocol: Option<HeaderValue>,
        run: Box<dyn FnOnce(WebSocketConnection) + Send>,
    },
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond(response) => f.debug_tuple("Respond").field(&response.status()).finish(),
            Self::Later(_) => f.write_str("Later"),
            Self::Upgrade { .. } => f.write_str("Upgrade"),
        }
    }
}

/// What serves those who come to a listener. Nothing may block.
pub trait Service: Send + Sync + 'static {
    /// The runtime that is to carry the next connection; `None`: it is refused.
    fn runtime(&self) -> Option<Handle>;

    /// Answers a request whose body has been read.
    fn answer(&self, request: Request<Bytes>, from: SocketAddr) -> Answer;

    /// Takes a connection that speaks something else than HTTP; gives it back where it does not.
    fn take_stream(&self, stream: ByteStream, from: SocketAddr) -> Option<ByteStream> {
        let _ = from;
        Some(stream)
    }
}

/// A listener that accepts until it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Listener {
    /// Binds an address and begins to accept, on `runtime`. Port 0 is one that the system chooses.
    pub fn bind(
        address: SocketAddr,
        options: ListenOptions,
        service: Arc<dyn Service>,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let _within = runtime.enter();
        let listener = listen(address)?;
        let address = listener.local_addr()?;
        let stop = watch::Sender::new(false);
        runtime.spawn(accept(listener, options, service, stop.subscribe()));
        Ok(Self { address, stop })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more. Connections that stand go on.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        tokio::net::TcpSocket::new_v4()?
    } else {
        tokio::net::TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn accept(
    listener: TcpListener,
    options: ListenOptions,
    service: Arc<dyn Service>,
    mut stop: watch::Receiver<bool>,
) {
    let options = Arc::new(options);
    let room = Arc::new(Semaphore::new(options.max_connections));
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accepted => accepted,
            // The sender is gone, or says so.
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // The system is out of descriptors, or the client has gone already.
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        // Of a socket for both families: who is told of it, or compares it, knows it as IPv4.
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let _ = stream.set_nodelay(true);
        let (Ok(stream), Some(runtime)) = (stream.into_std(), service.runtime()) else {
            continue;
        };
        let (service, options) = (Arc::clone(&service), Arc::clone(&options));
        runtime.spawn(async move {
            // A stream belongs to the runtime that it is registered with.
            let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
                return;
            };
            if let Err(error) = http::serve(stream, from, &service, &options).await {
                debug!(%from, %error, "a connection was not served");
            }
            drop(permit);
        });
    }
}
