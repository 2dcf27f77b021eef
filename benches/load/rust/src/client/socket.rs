//! Connects a WebSocket, plain or over TLS.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

pub type Failure = Box<dyn Error + Send + Sync>;

/// Two audio deltas: more is not faster, and takes more memory.
const READ_BUFFER: usize = 16 * 1024;

pub async fn connect_plain(url: &str) -> Result<WebSocketStream<TcpStream>, Failure> {
    upgrade(url, dial(url).await?).await
}

pub async fn connect_tls(
    url: &str,
    tls: TlsConnector,
) -> Result<WebSocketStream<TlsStream<TcpStream>>, Failure> {
    let host = url.into_client_request()?.uri().host().map(str::to_owned);
    let name = ServerName::try_from(host.ok_or("the URL has no host")?)?;
    upgrade(url, tls.connect(name, dial(url).await?).await?).await
}

/// Trusts the authorities of a PEM file.
pub fn tls(authority: &Path) -> Result<TlsConnector, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn dial(url: &str) -> Result<TcpStream, Failure> {
    let request = url.into_client_request()?;
    let at = request.uri().authority().ok_or("the URL has no host")?;
    let socket = TcpStream::connect(at.as_str()).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    url: &str,
    stream: S,
) -> Result<WebSocketStream<S>, Failure> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0);
    Ok(client_async_with_config(url, stream, Some(config)).await?.0)
}
