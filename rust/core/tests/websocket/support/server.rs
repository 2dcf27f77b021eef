//! Servers whose behaviour each test defines.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// A server whose first connection is served by the test; it ends with the test's runtime.
pub struct Server<T> {
    pub address: SocketAddr,
    pub task: JoinHandle<T>,
}

impl<T> Server<T> {
    /// Its URL.
    pub fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/v1/realtime?model=test", self.address)
    }
}

/// Passes the first TCP connection to `serve`.
pub async fn tcp<F, T>(serve: impl FnOnce(TcpStream) -> F + Send + 'static) -> Server<T>
where
    F: Future<Output = T> + Send,
    T: Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await
    });
    Server { address, task }
}

/// Passes the first WebSocket connection to `serve`.
pub async fn websocket<F, T>(
    serve: impl FnOnce(WebSocketStream<TcpStream>) -> F + Send + 'static,
) -> Server<T>
where
    F: Future<Output = T> + Send,
    T: Send + 'static,
{
    tcp(async move |stream| serve(accept_async(stream).await.unwrap()).await).await
}

/// Sends everything back, over TLS, to the first connection whose handshake succeeds.
pub async fn secure_echo(config: ServerConfig) -> Server<()> {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust the certificate ends the handshake; the next client may trust it.
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(accept_async(stream).await.unwrap()).await;
            }
        }
    });
    Server { address, task }
}

/// Sends everything back until the far side closes.
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    while let Some(Ok(message)) = socket.next().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) {
            socket.send(message).await.unwrap();
        }
    }
}

/// Reads an HTTP request's head.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The value of a header in such a head.
pub fn header(head: &str, name: &str) -> Option<String> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
}

/// Responds to the first request with these bytes and closes the connection; returns the request's head.
pub async fn answer(bytes: impl Into<Vec<u8>>) -> Server<String> {
    let bytes = bytes.into();
    tcp(async move |mut stream| {
        let head = read_head(&mut stream).await;
        stream.write_all(&bytes).await.unwrap();
        head
    })
    .await
}
