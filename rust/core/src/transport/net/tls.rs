//! TLS, and the authorities to trust.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;

use super::deadline::Deadline;
use super::error::{CertificateProblem, ConnectError, ConnectPhase};
use super::stream::ByteStream;

/// How servers are verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file with the authorities to trust, instead of all others. By default those in
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR`, otherwise those of the system.
    pub ca_file: Option<PathBuf>,
}

/// Does the TLS handshake with `host` over `stream`.
pub(super) async fn secure(
    stream: ByteStream,
    host: &str,
    tls: &Tls,
    deadline: Deadline,
) -> Result<ByteStream, ConnectError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::InvalidUrl {
        problem: format!("`{host}` is no host name that a certificate could be for"),
    })?;
    let trust = Trust::of(tls, |name| std::env::var(name).ok());
    let config = deadline
        .bound(ConnectPhase::LoadTrust, shared_config(trust))
        .await?;
    let handshake = async {
        let connected = TlsConnector::from(config).connect(name, stream).await;
        connected.map_err(|error| explain(host, &error))
    };
    let stream = deadline.bound(ConnectPhase::Tls, handshake).await?;
    Ok(ByteStream::Secured(Box::new(stream.into())))
}

/// The authorities to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trust {
    System,
    Paths {
        file: Option<PathBuf>,
        dir: Option<PathBuf>,
        /// The setting that names the paths, for messages.
        setting: &'static str,
    },
}

impl Trust {
    fn of(tls: &Tls, environment: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| {
            environment(name)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        if let Some(file) = &tls.ca_file {
            return Self::Paths {
                file: Some(file.clone()),
                dir: None,
                setting: "ca_file",
            };
        }
        match (path("SSL_CERT_FILE"), path("SSL_CERT_DIR")) {
            (None, None) => Self::System,
            (file, dir) => {
                let setting = if file.is_some() {
                    "SSL_CERT_FILE"
                } else {
                    "SSL_CERT_DIR"
                };
                Self::Paths { file, dir, setting }
            }
        }
    }

    /// The time of the file's last change, so that a renewed file is read again.
    fn written(&self) -> Option<SystemTime> {
        match self {
            Self::Paths {
                file: Some(file), ..
            } => file.metadata().ok()?.modified().ok(),
            _ => None,
        }
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, ConnectError> {
        match self {
            Self::System => match Verifier::new(provider) {
                Ok(verifier) => Ok(Arc::new(verifier)),
                Err(error) => Err(ConnectError::TrustStore {
                    store: "the system".to_owned(),
                    problem: format!(
                        "{error}; install the package ca-certificates, or name a PEM file in \
                         ca_file or SSL_CERT_FILE"
                    ),
                }),
            },
            Self::Paths { file, dir, setting } => {
                let roots = load(file.as_deref(), dir.as_deref(), setting)?;
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| ConnectError::TrustStore {
                            store: (*setting).to_owned(),
                            problem: error.to_string(),
                        })?;
                Ok(verifier)
            }
        }
    }
}

fn load(
    file: Option<&Path>,
    dir: Option<&Path>,
    setting: &str,
) -> Result<RootCertStore, ConnectError> {
    let found = rustls_native_certs::load_certs_from_paths(file, dir);
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let place = file
        .or(dir)
        .map(|path| path.display().to_string())
        .unwrap_or_default();
    let problem = match found.errors.first() {
        Some(error) => error.to_string(),
        None => "it holds no certificate; it must be a PEM file with the authority's certificate"
            .to_owned(),
    };
    Err(ConnectError::TrustStore {
        store: format!("{setting} ({place})"),
        problem,
    })
}

/// A TLS configuration, created or being created, and the conditions under which it is reused.
struct Shared {
    process: u32,
    trust: Trust,
    written: Option<SystemTime>,
    config: Arc<OnceCell<Arc<ClientConfig>>>,
}

/// The most configurations that are shared; others are created for each connection.
const MAX_SHARED: usize = 16;

/// All connections with the same setting share one configuration, which holds more than a hundred
/// authorities and the sessions that can be resumed.
static SHARED: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

async fn shared_config(trust: Trust) -> Result<Arc<ClientConfig>, ConnectError> {
    let cell = cell_for(&trust);
    // Reading and parsing the files takes milliseconds and would block a thread that serves sockets.
    let config = cell
        .get_or_try_init(|| async move {
            tokio::task::spawn_blocking(move || make_config(&trust))
                .await
                .unwrap_or_else(|error| {
                    Err(ConnectError::TrustStore {
                        store: "the disk".to_owned(),
                        problem: format!("the thread that reads them ended ({error})"),
                    })
                })
        })
        .await?;
    Ok(Arc::clone(config))
}

/// The shared cell of a configuration. A forked child has its own: a configuration that its parent was
/// creating at the fork would never be completed.
fn cell_for(trust: &Trust) -> Arc<OnceCell<Arc<ClientConfig>>> {
    let process = std::process::id();
    let written = trust.written();
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.retain(|one| one.process == process && (one.trust != *trust || one.written == written));
    if let Some(one) = shared.iter().find(|one| one.trust == *trust) {
        return Arc::clone(&one.config);
    }
    let config = Arc::new(OnceCell::new());
    if shared.len() < MAX_SHARED {
        let (trust, config) = (trust.clone(), Arc::clone(&config));
        shared.push(Shared {
            process,
            trust,
            written,
            config,
        });
    }
    config
}

fn make_config(trust: &Trust) -> Result<Arc<ClientConfig>, ConnectError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = trust.verifier(Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::TrustStore {
            store: "the TLS library".to_owned(),
            problem: error.to_string(),
        })?
        .dangerous() // The only way to set a verifier; both verifiers verify everything.
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The error of a failed handshake. The TLS library wraps its error in an IO error.
fn explain(host: &str, error: &io::Error) -> ConnectError {
    let host = host.to_owned();
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>());
    let cause = match inner {
        Some(TlsError::InvalidCertificate(problem)) => {
            return ConnectError::Certificate {
                host,
                problem: certificate_problem(problem),
            };
        }
        Some(TlsError::InvalidMessage(_)) => {
            "what answers there does not speak TLS; check the port, or use the plain scheme (ws://)"
                .to_owned()
        }
        Some(TlsError::AlertReceived(alert)) => format!("the server refuses with {alert:?}"),
        Some(other) => other.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            let cause = "the server closed it".to_owned();
            return ConnectError::Interrupted {
                phase: ConnectPhase::Tls,
                cause,
            };
        }
        None => error.to_string(),
    };
    ConnectError::Tls { host, cause }
}

fn certificate_problem(error: &CertificateError) -> CertificateProblem {
    use CertificateError as E;
    match error {
        E::UnknownIssuer => CertificateProblem::UnknownIssuer,
        E::Expired | E::ExpiredContext { .. } => CertificateProblem::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => CertificateProblem::NotYetValid,
        E::Revoked => CertificateProblem::Revoked,
        E::NotValidForName => CertificateProblem::WrongName {
            presented: Vec::new(),
        },
        E::NotValidForNameContext { presented, .. } => CertificateProblem::WrongName {
            presented: presented.iter().map(|name| readable_name(name)).collect(),
        },
        E::BadSignature => CertificateProblem::Other(
            "its signature does not match the trusted authority that it names; name a PEM file \
             with the right authority's certificate in ca_file or SSL_CERT_FILE"
                .to_owned(),
        ),
        E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            CertificateProblem::Other(
                "it is an authority's certificate (CA:TRUE) where a server's is wanted; make one \
                 with CA:FALSE, signed by that authority"
                    .to_owned(),
            )
        }
        other => CertificateProblem::Other(other.to_string()),
    }
}

/// `DnsName("example.org")` as `example.org`.
fn readable_name(name: &str) -> String {
    name.split('"').nth(1).unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_goes_before_the_environment_and_that_before_the_system() {
        let variables = |name: &str| match name {
            "SSL_CERT_FILE" => Some("/e.pem".to_owned()),
            "SSL_CERT_DIR" => Some(String::new()),
            _ => None,
        };
        let file = |path: &str, setting| Trust::Paths {
            file: Some(PathBuf::from(path)),
            dir: None,
            setting,
        };
        let option = Tls {
            ca_file: Some(PathBuf::from("/o.pem")),
        };
        assert_eq!(Trust::of(&option, variables), file("/o.pem", "ca_file"));
        assert_eq!(
            Trust::of(&Tls::default(), variables),
            file("/e.pem", "SSL_CERT_FILE")
        );
        assert_eq!(Trust::of(&Tls::default(), |_| None), Trust::System);
    }

    #[test]
    fn a_missing_file_is_named_with_its_setting() {
        let error = load(Some(Path::new("/no/such.pem")), None, "ca_file").unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("ca_file") && text.contains("/no/such.pem"),
            "{text}"
        );
    }
}
