//! Errors of connecting, each with its cause and a remedy.

use std::fmt;
use std::time::Duration;

use crate::transport::endpoint::{CloseReason, is_retryable_status};

/// Why a connection could not be established. Each message names the cause and the remedy; none holds a
/// header value, an API key or the credentials of a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be used.
    #[error("the URL cannot be used: {problem}")]
    InvalidUrl {
        /// What is wrong with it.
        problem: String,
    },
    /// An option has an invalid value.
    #[error("{problem}")]
    InvalidOption {
        /// Which, and why.
        problem: String,
    },
    /// A header cannot be sent.
    #[error("the header `{name}` cannot be sent: {problem}")]
    InvalidHeader {
        /// The header's name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The host name has no address.
    #[error(
        "no address found for the host `{host}` ({cause}); check its spelling and the DNS of this \
         machine"
    )]
    Dns {
        /// The host name.
        host: String,
        /// The resolver's message.
        cause: String,
    },
    /// No process listens on the port.
    #[error("{address} refused the connection; check host and port, and that the server runs")]
    ConnectionRefused {
        /// `host:port`.
        address: String,
    },
    /// The host cannot be reached.
    #[error("{address} cannot be reached ({cause}); check the network and the firewall")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// The operating system's message.
        cause: String,
    },
    /// Connecting timed out.
    #[error(
        "no connection within {} s: timed out while {phase}; check the network, or raise \
         connect_timeout",
        after.as_secs_f64()
    )]
    TimedOut {
        /// The phase that timed out.
        phase: ConnectPhase,
        /// The limit.
        after: Duration,
    },
    /// The far side closed the connection while connecting.
    #[error("the connection ended while {phase}: {cause}")]
    Interrupted {
        /// The phase that was interrupted.
        phase: ConnectPhase,
        /// What happened.
        cause: String,
    },
    /// The server's certificate does not verify.
    #[error("the certificate of `{host}` is not accepted: {problem}")]
    Certificate {
        /// The requested host.
        host: String,
        /// Why.
        problem: CertificateProblem,
    },
    /// The certificates to trust cannot be loaded.
    #[error("the certificates to trust cannot be loaded from {store}: {problem}")]
    TrustStore {
        /// The option, variable or store that they come from.
        store: String,
        /// What is wrong with it.
        problem: String,
    },
    /// TLS failed, but not because of the certificate.
    #[error("TLS with `{host}` failed: {cause}")]
    Tls {
        /// The host.
        host: String,
        /// What happened.
        cause: String,
    },
    /// A proxy setting cannot be used.
    #[error("the proxy in {setting} cannot be used: {problem}")]
    InvalidProxy {
        /// The variable or option that names it.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The proxy requires credentials, or other ones.
    #[error(
        "the proxy {proxy} asks for credentials (HTTP 407); put them into the proxy's URL: \
         http://user:password@host:port"
    )]
    ProxyAuthentication {
        /// `host:port`.
        proxy: String,
    },
    /// The proxy did not open a tunnel.
    #[error(
        "the proxy {proxy} did not open a tunnel to {target}: {cause}; check that it may connect \
         there, or list the host in NO_PROXY"
    )]
    Proxy {
        /// `host:port` of the proxy.
        proxy: String,
        /// `host:port` of the server.
        target: String,
        /// What it answered.
        cause: String,
    },
    /// The server answered with an HTTP error.
    #[error("{}", rejection(*status, code.as_deref(), message.as_deref(), *retry_after))]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// The server's error code, such as `invalid_api_key`.
        code: Option<String>,
        /// The server's message.
        message: Option<String>,
        /// When to retry, if the server says so.
        retry_after: Option<Duration>,
    },
    /// The server redirects. Redirects are not followed, so that credentials go to no other server.
    #[error(
        "the server redirects (HTTP {status}) to {}; use that URL if you trust it",
        location.as_deref().unwrap_or("a URL that it does not name")
    )]
    Redirected {
        /// The HTTP status.
        status: u16,
        /// The new URL, without credentials and query values.
        location: Option<String>,
    },
    /// The response to the offer of a call is no session description, or an unsupported one.
    #[error("what answers is not a WebRTC server: {problem}; check the URL's host and path")]
    NotWebRtc {
        /// What it answered instead.
        problem: String,
    },
    /// The server answered, but the call could not be established.
    #[error("there is no call with {address}: {problem}")]
    Call {
        /// `host:port` of the server that answered.
        address: String,
        /// What went wrong, and what to do.
        problem: String,
    },
    /// The connection stood, but the server reported an error before anything else.
    #[error("{}", refusal(code.as_deref(), message.as_deref()))]
    SessionRefused {
        /// The server's error code, such as `invalid_api_key`.
        code: Option<String>,
        /// The server's message.
        message: Option<String>,
    },
    /// The connection stood, but the server closed it before it said anything.
    #[error("{ended}, before it began the session{}", close_remedy(ended.code()))]
    SessionClosed {
        /// With which code and reason.
        ended: CloseReason,
    },
    /// The server is not a WebSocket server.
    #[error(
        "what answers is not a WebSocket server: {problem}; check the URL's host, port and path"
    )]
    NotWebSocket {
        /// What it answered instead.
        problem: String,
    },
}

impl ConnectError {
    /// Whether another attempt, with nothing changed, may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Dns { .. }
            | Self::ConnectionRefused { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Interrupted { .. }
            | Self::Proxy { .. }
            | Self::Call { .. } => true,
            // No money is left: time does not help.
            Self::Rejected { code, status, .. } => {
                is_retryable_status(*status) && code.as_deref() != Some("insufficient_quota")
            }
            Self::SessionRefused { code, .. } => code.as_deref().is_some_and(|code| {
                ["rate_limit_exceeded", "server_error", "session_expired"].contains(&code)
            }),
            Self::SessionClosed { ended } => ended.is_retryable(),
            _ => false,
        }
    }

    /// How long the server asks to wait before the next attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The provider's error code, such as `invalid_api_key`.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Rejected { code, .. } | Self::SessionRefused { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// The code of the close frame that ended the connection before the session began.
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Self::SessionClosed { ended } => ended.code(),
            _ => None,
        }
    }

    /// Whether the server did not accept who asks: the key is wrong, or may not do this.
    pub fn is_about_the_key(&self) -> bool {
        match self {
            Self::Rejected { status, .. } => matches!(status, 401 | 403),
            Self::SessionRefused { code, .. } => code.as_deref().is_some_and(is_about_the_key),
            Self::SessionClosed { ended } => ended.code().is_some_and(is_unauthorized),
            _ => false,
        }
    }

    /// What to call it.
    pub fn class(&self) -> ConnectClass {
        match self {
            Self::InvalidOption { .. } => ConnectClass::InvalidOption,
            Self::TimedOut { .. } => ConnectClass::TimedOut,
            Self::Certificate { .. } => ConnectClass::Certificate,
            error if error.is_about_the_key() => ConnectClass::Authentication,
            Self::Rejected { .. }
            | Self::Redirected { .. }
            | Self::NotWebSocket { .. }
            | Self::NotWebRtc { .. }
            | Self::SessionRefused { .. }
            | Self::SessionClosed { .. } => ConnectClass::Handshake,
            _ => ConnectClass::Other,
        }
    }

    /// The HTTP status that the server answered with, where that is why.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Rejected { status, .. } | Self::Redirected { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// The classes of errors, which callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectClass {
    InvalidOption,
    TimedOut,
    Certificate,
    Authentication,
    Handshake,
    Other,
}

impl ConnectClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidOption => "InvalidOptionError",
            Self::TimedOut => "ConnectTimeoutError",
            Self::Certificate => "CertificateError",
            Self::Authentication => "AuthenticationError",
            Self::Handshake => "HandshakeError",
            Self::Other => "ConnectError",
        }
    }
}

fn is_about_the_key(code: &str) -> bool {
    [
        "invalid_api_key",
        "authentication_error",
        "unauthorized",
        "permission_denied",
    ]
    .contains(&code.to_ascii_lowercase().as_str())
}

/// Close codes for "unauthorized" and "forbidden": the registered ones, and those made from HTTP's.
fn is_unauthorized(code: u16) -> bool {
    matches!(code, 3000 | 3003 | 4401 | 4403)
}

/// A phase of connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectPhase {
    /// Loading the certificates to trust.
    LoadTrust,
    /// Looking up the host's addresses.
    Resolve,
    /// Opening the TCP connection.
    Tcp,
    /// Asking the proxy for a tunnel.
    Proxy,
    /// The TLS handshake.
    Tls,
    /// Waiting for the response to the HTTP request.
    Http,
    /// Gathering candidates from STUN and TURN servers.
    Gather,
    /// Finding a network path to the server's media address.
    Ice,
    /// The DTLS handshake of the media.
    Dtls,
    /// Opening the data channel.
    Channel,
    /// Waiting for the server's first event.
    Session,
}

impl fmt::Display for ConnectPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoadTrust => "loading the certificates to trust",
            Self::Resolve => "looking up the host name",
            Self::Tcp => "opening the TCP connection",
            Self::Proxy => "asking the proxy for a tunnel",
            Self::Tls => "agreeing on TLS",
            Self::Http => "waiting for the server's answer to the handshake",
            Self::Gather => "asking the ICE servers for addresses",
            Self::Ice => "looking for a way to the server's media address (ICE over UDP)",
            Self::Dtls => "agreeing on keys for the media (DTLS)",
            Self::Channel => "opening the data channel",
            Self::Session => "waiting for the server's first event",
        })
    }
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// No trusted authority signed it.
    UnknownIssuer,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It is for other names.
    WrongName {
        /// The names that it is for; empty if unknown.
        presented: Vec<String>,
    },
    /// Its authority has revoked it.
    Revoked,
    /// Anything else.
    Other(String),
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownIssuer => f.write_str(
                "no authority that this machine trusts has signed it (self-signed, or a company's \
                 own authority?); name a PEM file with the authority's certificate in ca_file or \
                 SSL_CERT_FILE",
            ),
            Self::Expired => f.write_str(
                "it has expired; the server needs a new one, unless the clock of this machine is \
                 wrong",
            ),
            Self::NotYetValid => {
                f.write_str("it is not valid yet; check the clock of this machine")
            }
            Self::WrongName { presented } if presented.is_empty() => {
                f.write_str("it is for another host; check the host in the URL")
            }
            Self::WrongName { presented } => {
                write!(
                    f,
                    "it is for {}; check the host in the URL",
                    presented.join(", ")
                )
            }
            Self::Revoked => {
                f.write_str("its authority has revoked it; the server needs a new one")
            }
            Self::Other(cause) => f.write_str(cause),
        }
    }
}

fn rejection(
    status: u16,
    code: Option<&str>,
    message: Option<&str>,
    retry_after: Option<Duration>,
) -> String {
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let message = message.map(|text| format!(": {}", text.trim_end_matches('.')));
    let message = message.unwrap_or_default();
    let remedy = remedy(status)
        .map(|remedy| format!("; {remedy}"))
        .unwrap_or_default();
    let wait = retry_after.map(|wait| format!("; it may be tried again in {} s", wait.as_secs()));
    let wait = wait.unwrap_or_default();
    format!("the server refused with HTTP {status}{code}{message}{remedy}{wait}")
}

fn refusal(code: Option<&str>, message: Option<&str>) -> String {
    let about_key = code.is_some_and(is_about_the_key);
    let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
    let message = message.map(|text| format!(": {}", text.trim_end_matches('.')));
    let message = message.unwrap_or_default();
    let remedy = if about_key { KEY_REMEDY } else { "" };
    format!("the server refused the session{code}{message}{remedy}")
}

fn close_remedy(code: Option<u16>) -> &'static str {
    if code.is_some_and(is_unauthorized) {
        KEY_REMEDY
    } else {
        ""
    }
}

const KEY_REMEDY: &str = "; check the API key: it is missing, wrong or expired";

fn remedy(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "check the URL's parameters and the headers",
        401 => "check the API key: it is missing, wrong or expired",
        403 => "check that the API key may use this model, and from this place",
        404 => "check the URL's path and the name of the model",
        429 => "the rate limit or the quota is used up: wait, or raise it with the provider",
        500..=599 => "the server has a problem of its own: try again later",
        _ => return None,
    })
}
