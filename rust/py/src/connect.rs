//! How a session gets a connection: over a WebSocket, over WebRTC, or over a transport in Python.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::audio::AudioFormat;
use stapes_core::conversation::{Capabilities, Media, Truncation};
use stapes_core::session::{ConnectionSettings, Session as Core, SessionSetup, SoundSettings};
use stapes_core::transport::SampleRates;
use stapes_core::transport::net::ConnectRequest;
use stapes_core::transport::websocket::{self, WebSocketConnection, WebSocketOptions};

use crate::errors;
use crate::external_connection::ExternalConnection;

/// Seconds of audio that may wait for a transport in Python.
const EXTERNAL_QUEUE: usize = 60;

/// The formats of the audio on the wire.
#[derive(Debug, Clone, Copy)]
pub struct WireFormats {
    pub input: AudioFormat,
    pub output: AudioFormat,
}

impl WireFormats {
    /// The rates of the media tracks of a connection that has some: they carry PCM.
    pub fn rates(self) -> PyResult<SampleRates> {
        let rate = |format: AudioFormat, name: &str| match format {
            AudioFormat::Pcm { rate } => Ok(rate),
            _ => Err(PyValueError::new_err(format!(
                "config.audio.{name}.format is {}: this transport carries sound on a track beside the \
                 messages, and gives and takes PCM; leave the format out",
                format.wire_name()
            ))),
        };
        Ok(SampleRates {
            input: rate(self.input, "input")?,
            output: rate(self.output, "output")?,
        })
    }
}

/// Begins to connect over a WebSocket; the id of the connection.
pub fn websocket(
    py: Python<'_>,
    core: &Arc<Core>,
    request: ConnectRequest,
    options: WebSocketOptions,
    setup: SessionSetup,
) -> PyResult<u64> {
    let connecting = Box::pin(async move { websocket::connect(&request, &options).await });
    let settings = ConnectionSettings::default();
    core.dial(settings, setup, connecting, WebSocketConnection::run)
        .map_err(|rejected| errors::rejected(py, &rejected))
}

/// Begins to connect over WebRTC; the id of the connection.
#[cfg(feature = "webrtc")]
pub fn webrtc(
    py: Python<'_>,
    core: &Arc<Core>,
    request: ConnectRequest,
    options: stapes_core::transport::webrtc::WebRtcOptions,
    rates: SampleRates,
    setup: SessionSetup,
) -> PyResult<u64> {
    use stapes_core::transport::webrtc::{self, WebRtcConnection};

    let max_waiting = (options.max_queue.as_secs_f64() * f64::from(rates.input)) as usize * 2;
    let settings = ConnectionSettings {
        announced: false,
        capabilities: Capabilities::MEDIA_TRACK,
        sound: Some(SoundSettings { rates, max_waiting }),
    };
    let connecting = Box::pin(async move { webrtc::connect(&request, &options, rates).await });
    core.dial(settings, setup, connecting, WebRtcConnection::run)
        .map_err(|rejected| errors::rejected(py, &rejected))
}

/// Begins a connection that Python carries. It has media tracks where there are `rates`.
pub fn external(
    py: Python<'_>,
    core: &Arc<Core>,
    rates: Option<SampleRates>,
    server_truncates: bool,
) -> PyResult<ExternalConnection> {
    let capabilities = Capabilities {
        media: if rates.is_some() {
            Media::Track
        } else {
            Media::InFrames
        },
        truncation: if server_truncates {
            Truncation::Server
        } else {
            Truncation::Client
        },
    };
    let settings = ConnectionSettings {
        announced: true,
        capabilities,
        sound: rates.map(|rates| SoundSettings {
            rates,
            max_waiting: rates.input as usize * 2 * EXTERNAL_QUEUE,
        }),
    };
    let connection = core
        .connecting(settings)
        .map_err(|rejected| errors::rejected(py, &rejected))?;
    Ok(ExternalConnection::new(Arc::clone(core), connection))
}
