//! How a session gets a connection: over a WebSocket, over WebRTC, or over a transport in Python.

use std::future::Future;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::audio::AudioFormat;
use stapes_core::conversation::{Capabilities, Media, Truncation};
use stapes_core::session::{
    Connecting, Connection, ConnectionSettings, Session as Core, SessionSetup, SoundSettings,
};
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

/// A session that begins to connect.
#[derive(Debug)]
pub struct Dialer<'a> {
    pub core: &'a Arc<Core>,
    pub setup: SessionSetup,
    pub request: ConnectRequest,
}

impl Dialer<'_> {
    /// Over a WebSocket; the id of the connection.
    pub fn websocket(self, py: Python<'_>, options: WebSocketOptions) -> PyResult<u64> {
        let Self {
            core,
            setup,
            request,
        } = self;
        let settings = ConnectionSettings::default();
        let connecting = Box::pin(async move { websocket::connect(&request, &options).await });
        dial(
            py,
            core,
            settings,
            setup,
            connecting,
            WebSocketConnection::run,
        )
    }

    /// Over WebRTC; the id of the connection.
    #[cfg(feature = "webrtc")]
    pub fn webrtc(
        self,
        py: Python<'_>,
        options: stapes_core::transport::webrtc::WebRtcOptions,
        rates: SampleRates,
    ) -> PyResult<u64> {
        use stapes_core::transport::webrtc::{self, WebRtcConnection};

        let Self {
            core,
            setup,
            request,
        } = self;
        let max_waiting = (options.max_queue.as_secs_f64() * f64::from(rates.input)) as usize * 2;
        let settings = ConnectionSettings {
            announced: false,
            capabilities: Capabilities::MEDIA_TRACK,
            sound: Some(SoundSettings { rates, max_waiting }),
        };
        let connecting = Box::pin(async move { webrtc::connect(&request, &options, rates).await });
        dial(py, core, settings, setup, connecting, WebRtcConnection::run)
    }
}

fn dial<C: Send + 'static, F: Future<Output = ()> + Send + 'static>(
    py: Python<'_>,
    core: &Arc<Core>,
    settings: ConnectionSettings,
    setup: SessionSetup,
    connecting: Connecting<C>,
    run: impl FnOnce(C, Arc<Connection>) -> F + Send + 'static,
) -> PyResult<u64> {
    core.dial(settings, setup, connecting, run)
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
