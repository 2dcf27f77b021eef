//! TLS of a listener.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// The certificate and the key of a listener.
#[derive(Clone)]
pub struct ServerTls(pub(super) Arc<rustls::ServerConfig>);

/// Why a certificate cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ServerTlsError {
    #[error("the certificate is no PEM file with a certificate chain: {0}")]
    Certificate(String),
    #[error("the key is no PEM file with a private key")]
    Key,
    #[error("the certificate and the key cannot be used: {0}")]
    Unusable(String),
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    /// Reads a chain, the server's own certificate first, and its key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, ServerTlsError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| ServerTlsError::Certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(ServerTlsError::Certificate("it has none".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| ServerTlsError::Key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let unusable = |error: rustls::Error| ServerTlsError::Unusable(error.to_string());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}
