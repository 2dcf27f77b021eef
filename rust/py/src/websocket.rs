//! The options of a WebSocket connection.

#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments of Python calls are extracted by value"
)]

use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::transport::net::{Proxy, Tls};
use stapes_core::transport::websocket::WebSocketOptions as Options;

/// Limits, proxy and TLS of a WebSocket connection. Times are seconds, sizes bytes.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct WebSocketOptions(pub Options);

pub fn seconds(value: f64, name: &str) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value).map_err(|_| {
        PyValueError::new_err(format!(
            "{name} is {value}: give it as seconds, zero or more"
        ))
    })
}

/// `"environment"`, a URL, or none.
pub fn proxy(proxy: Option<String>) -> Proxy {
    match proxy {
        Some(word) if word == "environment" => Proxy::FromEnvironment,
        Some(url) => Proxy::Url(url),
        None => Proxy::Direct,
    }
}

#[pymethods]
impl WebSocketOptions {
    #[new]
    #[pyo3(signature = (*, connect_timeout, close_timeout, ping_interval, ping_timeout,
        max_message_size, max_frame_size, read_buffer_size, write_batch_bytes, proxy, ca_file))]
    #[expect(clippy::too_many_arguments, reason = "each is an option of its own")]
    fn new(
        connect_timeout: f64,
        close_timeout: f64,
        ping_interval: Option<f64>,
        ping_timeout: f64,
        max_message_size: usize,
        max_frame_size: usize,
        read_buffer_size: usize,
        write_batch_bytes: usize,
        proxy: Option<String>,
        ca_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        Ok(Self(Options {
            connect_timeout: seconds(connect_timeout, "connect_timeout")?,
            close_timeout: seconds(close_timeout, "close_timeout")?,
            ping_interval: ping_interval
                .map(|s| seconds(s, "ping_interval"))
                .transpose()?,
            ping_timeout: seconds(ping_timeout, "ping_timeout")?,
            max_message_size,
            max_frame_size,
            read_buffer_size,
            write_batch_bytes,
            proxy: self::proxy(proxy),
            tls: Tls { ca_file },
        }))
    }
}
