//! From a URL to a byte stream: the parts of connecting that every transport shares.
//!
//! Read in the order of a connection: [`target`] takes the URL apart, [`proxy`] says whether a
//! proxy stands between, [`tcp`] opens the connection, [`tls`] secures it, [`exchange`] makes the one
//! HTTP exchange that opens a tunnel or upgrades a connection. [`dial`] puts them in that order.

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

pub use error::{CertificateProblem, ConnectError, ConnectPhase};
pub use proxy::Proxy;
pub use request::ConnectRequest;
pub use tls::Tls;

pub(super) use deadline::Deadline;
pub(super) use dial::dial;
pub(super) use exchange::{Answer, ExchangeError, exchange};
pub(super) use refusal::refused;
pub(super) use secrets::Secrets;
pub(super) use stream::ByteStream;
pub(super) use target::{Schemes, Target};
