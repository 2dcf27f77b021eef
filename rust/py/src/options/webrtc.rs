//! The options of a WebRTC connection.

use std::net::IpAddr;
use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::audio::jitter::{JitterBuffer, JitterOptions};
use stapes_core::audio::opus::EncoderSettings;
use stapes_core::audio::sender::{OpusSender, SenderOptions};
use stapes_core::transport::net::Tls;
use stapes_core::transport::webrtc;

use super::{proxy, proxy_name, seconds};

/// One URL or several.
#[derive(FromPyObject)]
enum Urls {
    One(String),
    Several(Vec<String>),
}

#[derive(FromPyObject)]
struct IceServer {
    urls: Urls,
    username: String,
    credential: String,
}

impl From<IceServer> for webrtc::IceServer {
    fn from(server: IceServer) -> Self {
        Self {
            urls: match server.urls {
                Urls::One(url) => vec![url],
                Urls::Several(urls) => urls,
            },
            username: server.username,
            credential: server.credential,
        }
    }
}

options! {
    WebRTCTransport, webrtc::WebRtcOptions, |core, py| {
        connect_timeout: f64 = core.connect_timeout.as_secs_f64(),
        close_timeout: f64 = core.close_timeout.as_secs_f64(),
        disconnected_after: f64 = core.disconnected_after.as_secs_f64(),
        disconnected_grace: f64 = core.disconnected_grace.as_secs_f64(),
        ice_servers: Vec<IceServer> = pyo3::types::PyTuple::empty(py),
        local_addresses: Vec<String> = pyo3::types::PyTuple::empty(py),
        // What the encoder takes where the user names nothing follows from `fec`.
        complexity: Option<u32> = py.None(),
        bitrate: Option<u32> = py.None(),
        fec: bool = core.encoder.fec,
        expected_loss: u32 = core.encoder.expected_loss,
        dtx: bool = core.encoder.dtx,
        max_queue: f64 = core.max_queue.as_secs_f64(),
        min_delay: f64 = core.jitter.min_delay.as_secs_f64(),
        start_delay: f64 = core.jitter.start_delay.as_secs_f64(),
        max_delay: f64 = core.jitter.max_delay.as_secs_f64(),
        channel_buffer: usize = core.channel_buffer,
        send_batch_size: usize = core.send_batch_bytes,
        proxy: Option<String> = proxy_name(&core.proxy),
        ca_file: Option<PathBuf> = core.tls.ca_file,
    }
}

/// Timeouts, limits, addresses and audio of a WebRTC connection. Times are seconds, sizes bytes.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct WebRtcOptions(pub webrtc::WebRtcOptions);

#[pymethods]
impl WebRtcOptions {
    /// Reads the attributes of a `stapes.WebRTCTransport`.
    #[new]
    fn new(transport: WebRTCTransport) -> PyResult<Self> {
        let rejected = |error: &dyn std::fmt::Display| PyValueError::new_err(error.to_string());
        let usual = webrtc::WebRtcOptions::encoder(transport.fec);
        let encoder = EncoderSettings {
            complexity: transport.complexity.or(usual.complexity),
            bitrate: transport.bitrate.or(usual.bitrate),
            expected_loss: transport.expected_loss,
            dtx: transport.dtx,
            ..usual
        };
        let max_queue = seconds(transport.max_queue, "max_queue")?;
        let sender = SenderOptions {
            encoder,
            max_queue,
            ..SenderOptions::default()
        };
        // Settings that the encoder would refuse are refused now, by name.
        OpusSender::new(24_000, sender).map_err(|error| rejected(&error))?;
        let jitter = JitterOptions {
            min_delay: seconds(transport.min_delay, "min_delay")?,
            start_delay: seconds(transport.start_delay, "start_delay")?,
            max_delay: seconds(transport.max_delay, "max_delay")?,
            ..JitterOptions::default()
        };
        JitterBuffer::new(jitter).map_err(|error| rejected(&error))?;
        Ok(Self(webrtc::WebRtcOptions {
            connect_timeout: seconds(transport.connect_timeout, "connect_timeout")?,
            close_timeout: seconds(transport.close_timeout, "close_timeout")?,
            disconnected_after: seconds(transport.disconnected_after, "disconnected_after")?,
            disconnected_grace: seconds(transport.disconnected_grace, "disconnected_grace")?,
            ice_servers: transport.ice_servers.into_iter().map(Into::into).collect(),
            local_addresses: transport
                .local_addresses
                .iter()
                .map(|text| address(text))
                .collect::<PyResult<_>>()?,
            channel_buffer: transport.channel_buffer,
            send_batch_bytes: transport.send_batch_size,
            encoder,
            max_queue,
            jitter,
            proxy: proxy(transport.proxy),
            tls: Tls {
                ca_file: transport.ca_file,
            },
        }))
    }
}

fn address(text: &str) -> PyResult<IpAddr> {
    text.parse::<IpAddr>()
        .ok()
        .filter(|ip| !ip.is_unspecified())
        .ok_or_else(|| {
            PyValueError::new_err(format!(
                "local_addresses has {text:?}: give the addresses of interfaces, such as \
                 \"192.0.2.7\""
            ))
        })
}
