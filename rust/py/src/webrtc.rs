//! The options of a WebRTC connection.

#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments of Python calls are extracted by value"
)]

use std::net::IpAddr;
use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::audio::opus::EncoderSettings;
use stapes_core::audio::rtp::jitter::JitterOptions;
use stapes_core::audio::rtp::sender::{OpusSender, SenderOptions};
use stapes_core::transport::net::Tls;
use stapes_core::transport::webrtc::{IceServer, WebRtcOptions as Options};

use crate::websocket::{proxy, seconds};

/// Timeouts, limits, addresses and sound of a WebRTC connection. Times are seconds, sizes bytes.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct WebRtcOptions(pub Options);

#[pymethods]
impl WebRtcOptions {
    /// `ice_servers` are `(urls, username, credential)` each.
    #[new]
    #[pyo3(signature = (*, connect_timeout, close_timeout, disconnected_after, disconnected_grace,
        ice_servers, local_addresses, channel_buffer, send_batch_bytes, complexity, bitrate, fec,
        expected_loss, dtx, max_queue, min_delay, start_delay, max_delay, proxy, ca_file))]
    #[expect(clippy::too_many_arguments, reason = "each is an option of its own")]
    fn new(
        connect_timeout: f64,
        close_timeout: f64,
        disconnected_after: f64,
        disconnected_grace: f64,
        ice_servers: Vec<(Vec<String>, String, String)>,
        local_addresses: Vec<String>,
        channel_buffer: usize,
        send_batch_bytes: usize,
        complexity: Option<u32>,
        bitrate: Option<u32>,
        fec: bool,
        expected_loss: u32,
        dtx: bool,
        max_queue: f64,
        min_delay: f64,
        start_delay: f64,
        max_delay: f64,
        proxy: Option<String>,
        ca_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        let refused = |error: &dyn std::fmt::Display| PyValueError::new_err(error.to_string());
        let usual = Options::encoder(fec);
        let encoder = EncoderSettings {
            complexity: complexity.or(usual.complexity),
            bitrate: bitrate.or(usual.bitrate),
            expected_loss,
            dtx,
            ..usual
        };
        let max_queue = seconds(max_queue, "max_queue")?;
        let sender = SenderOptions {
            encoder,
            max_queue,
            ..SenderOptions::default()
        };
        // What an encoder would refuse is refused now, by name.
        OpusSender::new(24_000, sender).map_err(|error| refused(&error))?;
        let jitter = JitterOptions {
            min_delay: seconds(min_delay, "min_delay")?,
            start_delay: seconds(start_delay, "start_delay")?,
            max_delay: seconds(max_delay, "max_delay")?,
            ..JitterOptions::default()
        };
        stapes_core::audio::rtp::jitter::JitterBuffer::new(jitter)
            .map_err(|error| refused(&error))?;
        let address = |text: &String| {
            text.parse::<IpAddr>()
                .ok()
                .filter(|ip| !ip.is_unspecified())
                .ok_or_else(|| {
                    PyValueError::new_err(format!(
                        "local_addresses has {text:?}: give the addresses of interfaces, such as \
                         \"192.0.2.7\""
                    ))
                })
        };
        Ok(Self(Options {
            connect_timeout: seconds(connect_timeout, "connect_timeout")?,
            close_timeout: seconds(close_timeout, "close_timeout")?,
            disconnected_after: seconds(disconnected_after, "disconnected_after")?,
            disconnected_grace: seconds(disconnected_grace, "disconnected_grace")?,
            ice_servers: ice_servers
                .into_iter()
                .map(|(urls, username, credential)| IceServer {
                    urls,
                    username,
                    credential,
                })
                .collect(),
            local_addresses: local_addresses
                .iter()
                .map(address)
                .collect::<PyResult<_>>()?,
            channel_buffer,
            send_batch_bytes,
            encoder,
            max_queue,
            jitter,
            proxy: self::proxy(proxy),
            tls: Tls { ca_file },
        }))
    }
}
