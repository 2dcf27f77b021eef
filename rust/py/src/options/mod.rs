//! The options of the transports, read from the attributes of Python's frozen dataclasses.
//!
//! A table names each option once, with its type and its default in the core. A test holds the
//! dataclasses' fields and defaults against [`defaults`].

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use stapes_core::transport::net::Proxy;

/// Declares a struct that is read from the attributes of a Python object, and the defaults of its
/// fields: those of the core, in Python's terms.
macro_rules! options {
    ($(#[$doc:meta])* $name:ident, $core:ty, |$default:ident, $py:ident| { $( $field:ident: $type:ty = $value:expr, )* }) => {
        $(#[$doc])*
        #[derive(FromPyObject)]
        pub(super) struct $name {
            $( $field: $type, )*
        }

        impl $name {
            pub(super) fn defaults($py: Python<'_>) -> PyResult<Bound<'_, pyo3::types::PyDict>> {
                let $default = <$core>::default();
                let defaults = pyo3::types::PyDict::new($py);
                $( defaults.set_item(stringify!($field), $value)?; )*
                Ok(defaults)
            }
        }
    };
}

#[cfg(feature = "webrtc")]
mod webrtc;
mod websocket;

#[cfg(feature = "webrtc")]
pub use webrtc::WebRtcOptions;
pub use websocket::WebSocketOptions;

pub fn seconds(value: f64, name: &str) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| {
        PyValueError::new_err(format!(
            "{name} is {value}: give it as seconds, zero or more"
        ))
    })
}

/// Reads `"environment"`, a URL, or none.
fn proxy(proxy: Option<String>) -> Proxy {
    match proxy {
        Some(word) if word == "environment" => Proxy::FromEnvironment,
        Some(url) => Proxy::Url(url),
        None => Proxy::Direct,
    }
}

fn proxy_name(proxy: &Proxy) -> Option<&str> {
    match proxy {
        Proxy::FromEnvironment => Some("environment"),
        Proxy::Url(url) => Some(url),
        Proxy::Direct => None,
    }
}

/// The defaults of all options that cross from Python, by the class that has them.
pub fn defaults(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    all.set_item(
        "WebSocketTransport",
        websocket::WebSocketTransport::defaults(py)?,
    )?;
    #[cfg(feature = "webrtc")]
    all.set_item("WebRTCTransport", webrtc::WebRTCTransport::defaults(py)?)?;
    Ok(all)
}
