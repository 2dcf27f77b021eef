//! The options of a WebSocket connection.

use std::path::PathBuf;

use pyo3::prelude::*;
use stapes_core::transport::net::Tls;
use stapes_core::transport::websocket;

use super::{proxy, proxy_name, seconds};

options! {
    WebSocketTransport, websocket::WebSocketOptions, |core, py| {
        connect_timeout: f64 = core.connect_timeout.as_secs_f64(),
        close_timeout: f64 = core.close_timeout.as_secs_f64(),
        ping_interval: Option<f64> = core.ping_interval.map(|interval| interval.as_secs_f64()),
        ping_timeout: f64 = core.ping_timeout.as_secs_f64(),
        max_message_size: usize = core.max_message_size,
        max_frame_size: usize = core.max_frame_size,
        read_buffer_size: usize = core.read_buffer_size,
        write_batch_size: usize = core.write_batch_bytes,
        proxy: Option<String> = proxy_name(&core.proxy),
        ca_file: Option<PathBuf> = core.tls.ca_file,
    }
}

/// Limits, proxy and TLS of a WebSocket connection. Times are seconds, sizes bytes.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct WebSocketOptions(pub websocket::WebSocketOptions);

#[pymethods]
impl WebSocketOptions {
    /// Reads the attributes of a `stapes.WebSocketTransport`.
    #[new]
    fn new(transport: WebSocketTransport) -> PyResult<Self> {
        Ok(Self(websocket::WebSocketOptions {
            connect_timeout: seconds(transport.connect_timeout, "connect_timeout")?,
            close_timeout: seconds(transport.close_timeout, "close_timeout")?,
            ping_interval: transport
                .ping_interval
                .map(|interval| seconds(interval, "ping_interval"))
                .transpose()?,
            ping_timeout: seconds(transport.ping_timeout, "ping_timeout")?,
            max_message_size: transport.max_message_size,
            max_frame_size: transport.max_frame_size,
            read_buffer_size: transport.read_buffer_size,
            write_batch_bytes: transport.write_batch_size,
            proxy: proxy(transport.proxy),
            tls: Tls {
                ca_file: transport.ca_file,
            },
        }))
    }
}
