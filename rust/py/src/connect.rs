//! How a session gets a connection: over a WebSocket, over WebRTC, or over a transport in Python.

use std::future::Future;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::audio::AudioFormat;
use stapes_core::conversation::{Capabilities, Media, Truncation};
use stapes_core::transport::net::ConnectRequest;
use stapes_core::transport::websocket::{self, WebSocketConnection, WebSocketOptions};
use stapes_core::transport::{
    Connection, ConnectionSettings, SampleRates, Session as Core, SoundSettings,
};

use crate::connecting::{self, Connecting, SessionSetup};
use crate::errors;
use crate::external_connection::ExternalConnection;
use crate::sink::Sink;

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
    pub sink: &'a Arc<Sink>,
    pub setup: SessionSetup,
    pub request: ConnectRequest,
}

impl Dialer<'_> {
    /// Over a WebSocket; the id of the connection.
    pub fn websocket(self, py: Python<'_>, options: WebSocketOptions) -> PyResult<u64> {
        let Self {
            core,
            sink,
            setup,
            request,
        } = self;
        let settings = ConnectionSettings::default();
        let connecting = Box::pin(async move { websocket::connect(&request, &options).await });
        dial(
            py,
            core,
            sink,
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
            sink,
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
        dial(
            py,
            core,
            sink,
            settings,
            setup,
            connecting,
            WebRtcConnection::run,
        )
    }
}

fn begin(py: Python<'_>, core: &Core, settings: ConnectionSettings) -> PyResult<Arc<Connection>> {
    core.connecting(settings)
        .map_err(|rejected| errors::rejected(py, &rejected))
}

fn dial<C: Send + 'static, F: Future<Output = ()> + Send + 'static>(
    py: Python<'_>,
    core: &Arc<Core>,
    sink: &Arc<Sink>,
    settings: ConnectionSettings,
    setup: SessionSetup,
    connecting: Connecting<C>,
    run: impl FnOnce(C, Arc<Connection>) -> F + Send + 'static,
) -> PyResult<u64> {
    let connection = begin(py, core, settings)?;
    let connection_id = connection.connection_id();
    let (session, sink) = (Arc::clone(core), Arc::clone(sink));
    let work = connecting::run(session, sink, connection, setup, connecting, run);
    core.runtime().spawn(work);
    Ok(connection_id)
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
    let connection = begin(py, core, settings)?;
    Ok(ExternalConnection::new(Arc::clone(core), connection))
}
