//! A connection over a transport that is written in Python.

use std::sync::Arc;

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stapes_core::session::{Connection, Session as Core, SessionSetup};
use stapes_core::transport::{CloseReason, Endpoint as _, Outgoing};

use crate::audio::samples::Samples;
use crate::errors::Outcome;

/// Takes frames in and gives messages out.
#[pyclass(frozen, module = "stapes._core")]
#[derive(Debug)]
pub struct ExternalConnection {
    core: Arc<Core>,
    connection: Arc<Connection>,
}

impl ExternalConnection {
    pub fn new(core: Arc<Core>, connection: Arc<Connection>) -> Self {
        Self { core, connection }
    }
}

#[pymethods]
impl ExternalConnection {
    #[getter]
    fn connection_id(&self) -> u64 {
        self.connection.connection_id()
    }

    /// The connection stands; false where it was closed meanwhile.
    fn opened(&self, session_update: String, tracing: &str, agent_version: u64) -> Outcome<bool> {
        let setup = SessionSetup::read(session_update, tracing, agent_version)?;
        Ok(self.core.begin(&self.connection, setup).is_ok())
    }

    /// The connection that takes the place of a lost one stands; false where it was closed meanwhile.
    fn opened_again(&self) -> bool {
        self.core.begin_again(&self.connection).is_ok()
    }

    /// A text frame came.
    fn receive(&self, frame: &str) {
        self.connection.receive(frame);
    }

    /// Audio came beside the frames: PCM at the rate of the session's output format.
    fn receive_audio(&self, audio: &Bound<'_, PyAny>) -> PyResult<()> {
        let samples = Samples::mono(audio, "audio")?.into_int16();
        self.connection.receive_sound(&samples);
        Ok(())
    }

    /// The user's audio that is to be sent now, up to the end of a turn.
    fn take_audio<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let pieces = self.connection.take_sound().into_iter();
        pieces
            .map(|samples| PyBytes::new(py, bytemuck::cast_slice(&samples)))
            .collect()
    }

    /// The messages that are to be sent now: texts, and `(code, reason)` to close the connection.
    fn take(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let messages = self.connection.take_messages().into_iter();
        messages
            .map(|message| match message {
                Outgoing::Text(text) => text.into_py_any(py),
                Outgoing::Binary(bytes) => PyBytes::new(py, &bytes).into_py_any(py),
                Outgoing::Close { code, reason } => (code, reason).into_py_any(py),
            })
            .collect()
    }

    /// The connection is over.
    fn ended(&self, reason: &str) {
        self.connection.on_ended(CloseReason::Lost {
            cause: reason.to_owned(),
        });
    }
}
