//! Runs a session over a WebSocket (RFC 6455).
//!
//! [`connect`] opens the connection, [`accepted`] takes one over whose handshake the listener has
//! answered; [`WebSocketConnection::run`] moves frames between it and an [`Endpoint`] until it ends.
//! A server that holds thousands of sessions pays for each: one task,
//! one timer, and buffers as small as [`WebSocketOptions`] says.

mod driver;
mod end;
mod frame;
mod inlet;
mod keepalive;
mod options;
mod outlet;
mod upgrade;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::debug;

pub use self::options::WebSocketOptions;
pub use super::net::{CertificateProblem, ConnectError, ConnectPhase, ConnectRequest, Proxy, Tls};

use self::inlet::Inlet;
use self::outlet::Outlet;
use super::end::EndGuard;
use super::endpoint::Endpoint;
use super::net::{ByteStream, Deadline, Schemes, Secrets, ServerClock, dial};

/// tungstenite's read buffer, in bytes, allocated for each connection. It reads hardly anything but
/// control frames; longer frames it reads in pieces of this length, from memory.
const OWN_READ_BUFFER: usize = 256;

/// The control frames that may wait to be written, in bytes: the longest has 131.
const CONTROL_FRAMES: usize = 256;

const SCHEMES: Schemes = Schemes {
    plain: "ws",
    secure: "wss",
};

/// The headers of the handshake, which users must not set (RFC 6455, section 4.1).
const OWN_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-key",
    "sec-websocket-version",
    "transfer-encoding",
    "upgrade",
];

/// Opens a WebSocket connection, in no more than `options.connect_timeout`.
pub async fn connect(
    request: &ConnectRequest,
    options: &WebSocketOptions,
) -> Result<WebSocketConnection, ConnectError> {
    let deadline = Deadline::after(options.connect_timeout);
    let (target, headers) = request.check(SCHEMES, &OWN_HEADERS)?;
    debug!(
        address = target.address(),
        secure = target.secure,
        "connecting"
    );
    let stream = dial(&target, &options.proxy, &options.tls, deadline).await?;
    let upgraded = upgrade::upgrade(
        stream,
        &secrets(request, options),
        &target,
        headers,
        deadline,
    )
    .await?;
    debug!(address = target.address(), "connected");
    upgraded
        .stream
        .limit_unacknowledged(options.unacknowledged_timeout);
    let socket = socket(upgraded.stream, &upgraded.rest, Role::Client, options).await;
    Ok(WebSocketConnection {
        socket,
        server_clock: ServerClock::arriving(&upgraded.headers),
        response_headers: upgraded.headers,
        settings: driver::DriverSettings::from(options),
    })
}

/// The server's side of a connection whose handshake has been answered on `stream`; `rest`: what was
/// read behind the request.
pub(super) async fn accepted(
    stream: ByteStream,
    rest: &[u8],
    options: &WebSocketOptions,
) -> WebSocketConnection {
    stream.limit_unacknowledged(options.unacknowledged_timeout);
    WebSocketConnection {
        socket: socket(stream, rest, Role::Server, options).await,
        server_clock: None,
        response_headers: HeaderMap::new(),
        settings: driver::DriverSettings::from(options).of_server(),
    }
}

async fn socket(stream: ByteStream, rest: &[u8], role: Role, options: &WebSocketOptions) -> Socket {
    let inlet = Inlet::new(
        stream,
        rest,
        options.read_buffer_size,
        options.max_frame_size.min(options.max_message_size),
        role == Role::Server,
    );
    let config = protocol_config(options);
    WebSocketStream::from_raw_socket(Outlet::new(inlet), role, Some(config)).await
}

/// What the far side of such a connection may quote, and nobody may read.
pub fn secrets(request: &ConnectRequest, options: &WebSocketOptions) -> Secrets {
    request.secrets(&options.proxy)
}

fn protocol_config(options: &WebSocketOptions) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(OWN_READ_BUFFER)
        // The buffer collects control frames until the driver flushes. Where it is full, because the
        // server pings and does not read, the newest pong alone is kept.
        .write_buffer_size(CONTROL_FRAMES - 1)
        .max_write_buffer_size(CONTROL_FRAMES)
        .max_message_size(Some(options.max_message_size))
        // A frame that is longer than its message may be is refused by its header.
        .max_frame_size(Some(options.max_frame_size.min(options.max_message_size)))
}

/// tungstenite on top of the two halves that the driver reads and writes directly.
type Socket = WebSocketStream<Outlet<Inlet<ByteStream>>>;

/// An open connection. Nothing is read from it before [`run`](Self::run).
pub struct WebSocketConnection {
    socket: Socket,
    server_clock: Option<ServerClock>,
    response_headers: HeaderMap,
    settings: driver::DriverSettings,
}

impl WebSocketConnection {
    /// The headers of the server's response, names in lower case, without values that are not ASCII
    /// text.
    pub fn response_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.response_headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
    }

    /// What the server's clock shows now, by the `Date` of its answer to the handshake, where it had
    /// one.
    pub fn server_date(&self) -> Option<SystemTime> {
        self.server_clock?.now()
    }

    /// Moves frames between the connection and `endpoint` until the connection ends.
    ///
    /// Dropping the future, polled or not, drops the connection; `endpoint.on_ended` is called
    /// exactly once in any case. While the endpoint holds the reader, keep-alive pauses, because
    /// nobody would read the pongs. After our close frame the hold no longer applies, and frames that
    /// arrive are dropped.
    pub fn run<E: Endpoint + ?Sized>(
        self,
        endpoint: Arc<E>,
    ) -> impl Future<Output = ()> + Send + use<E> {
        let Self {
            socket, settings, ..
        } = self;
        let driver = driver::driver(socket, &endpoint, settings);
        let end = EndGuard::new(endpoint);
        async move {
            let ended = driver::drive(&driver, end.endpoint()).await;
            end.report(ended);
            driver::linger(driver).await;
        }
    }
}

impl fmt::Debug for WebSocketConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketConnection")
            .finish_non_exhaustive()
    }
}
