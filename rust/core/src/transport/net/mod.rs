//! From a URL to a byte stream: the steps of connecting that all transports share.
//!
//! In the order of a connection: [`target`] parses the URL, [`proxy`] finds out whether there is a proxy,
//! [`tcp`] opens the connection, [`tls`] secures it, and [`exchange`] does the HTTP exchange that opens a
//! tunnel or upgrades the connection. [`dial`] calls them in that order.

#[cfg(feature = "webrtc")]
pub(crate) mod addresses;
mod date;
mod deadline;
mod dial;
mod error;
mod exchange;
mod no_proxy;
mod proxy;
mod refusal;
mod request;
mod secrets;
mod stream;
mod target;
mod tcp;
mod tls;

pub use error::{CertificateProblem, ConnectClass, ConnectError, ConnectPhase};
pub use proxy::Proxy;
pub use request::ConnectRequest;
pub use secrets::{Secrets, redact_url};
pub use tls::Tls;

pub(super) use date::ServerClock;
pub(super) use deadline::Deadline;
pub(super) use dial::dial;
pub(super) use exchange::{Answer, ExchangeError, exchange};
pub(super) use refusal::refused;
pub use stream::ByteStream;
pub(super) use target::{Schemes, Target};
