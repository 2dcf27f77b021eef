//! A proxy that opens tunnels.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::server::header;

/// A proxy that connects every tunnel to one server, whatever the requested host.
pub struct TestProxy {
    pub address: SocketAddr,
    /// The heads of the requests.
    pub requests: mpsc::UnboundedReceiver<String>,
}

impl TestProxy {
    /// A proxy that requires `authorization`, if given.
    pub async fn start(to: SocketAddr, authorization: Option<&'static str>) -> Self {
        Self::serve(to, authorization, None).await
    }

    /// A proxy that itself uses TLS.
    pub async fn secure(to: SocketAddr, config: ServerConfig) -> Self {
        Self::serve(to, None, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(
        to: SocketAddr,
        authorization: Option<&'static str>,
        tls: Option<TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, requests) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                match &tls {
                    Some(tls) => {
                        tunnel(tls.accept(stream).await.unwrap(), to, authorization, &seen).await;
                    }
                    None => tunnel(stream, to, authorization, &seen).await,
                }
            }
        });
        Self { address, requests }
    }
}

async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: S,
    to: SocketAddr,
    authorization: Option<&str>,
    seen: &mpsc::UnboundedSender<String>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let given = header(&head, "proxy-authorization");
    let _ = seen.send(head);
    if authorization.is_some() && given.as_deref() != authorization {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        client.write_all(refusal.as_bytes()).await.unwrap();
        return;
    }
    client
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await
        .unwrap();
    let mut server = TcpStream::connect(to).await.unwrap();
    let _ = copy_bidirectional(&mut client, &mut server).await;
}
