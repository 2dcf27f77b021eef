//! Errors of the core as the exceptions of `stapes.errors`.

use std::fmt::Display;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use stapes_core::conversation::Rejected;
use stapes_core::delivery::loop_driver::DriverError;
use stapes_core::session::SendAudioError;
use stapes_core::transport::net::ConnectError;

fn raise(
    py: Python<'_>,
    class: &str,
    arguments: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<PyErr>,
) -> PyErr {
    let found = py
        .import("stapes.errors")
        .and_then(|module| module.getattr(class));
    match found.and_then(|class| arguments(&class)) {
        Ok(error) | Err(error) => error,
    }
}

fn with_message(py: Python<'_>, class: &str, message: &str) -> PyErr {
    raise(py, class, |class| {
        Ok(PyErr::from_value(class.call1((message,))?))
    })
}

fn with_status(py: Python<'_>, class: &str, message: &str, status: u16) -> PyErr {
    raise(py, class, |class| {
        Ok(PyErr::from_value(class.call1((message, status))?))
    })
}

/// An error that has no class of its own in Python.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` wants")]
pub fn runtime_error(error: impl Display) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

/// Why an event loop cannot drive its sessions.
pub fn driver_error(error: DriverError) -> PyErr {
    match error {
        DriverError::Selector(error) => error.into(),
        error => runtime_error(error),
    }
}

/// Why a command was rejected. For the acts of the session layer, what is stale is no error but a result.
pub fn rejected(py: Python<'_>, rejected: &Rejected) -> PyErr {
    let message = rejected.to_string();
    match rejected {
        Rejected::NotConnected => with_message(py, "NotConnectedError", &message),
        Rejected::AlreadyConnected => PyRuntimeError::new_err(message),
        Rejected::Invalid(_) => pyo3::exceptions::PyValueError::new_err(message),
        _ => with_message(py, "StapesError", &message),
    }
}

/// Why audio was not sent.
pub fn send_audio_error(py: Python<'_>, error: &SendAudioError) -> PyErr {
    match error {
        SendAudioError::Rejected(why) => rejected(py, why),
        SendAudioError::Rate(_) => pyo3::exceptions::PyValueError::new_err(error.to_string()),
        _ => with_message(py, "StapesError", &error.to_string()),
    }
}

pub fn connect_error(py: Python<'_>, error: &ConnectError) -> PyErr {
    let message = error.to_string();
    match error {
        ConnectError::InvalidOption { .. } => pyo3::exceptions::PyValueError::new_err(message),
        ConnectError::TimedOut { .. } => with_message(py, "ConnectTimeoutError", &message),
        ConnectError::Certificate { .. } => with_message(py, "CertificateError", &message),
        ConnectError::Rejected {
            status: status @ (401 | 403),
            ..
        } => with_status(py, "AuthenticationError", &message, *status),
        ConnectError::Rejected { status, .. } | ConnectError::Redirected { status, .. } => {
            with_status(py, "HandshakeError", &message, *status)
        }
        ConnectError::NotWebSocket { .. } | ConnectError::NotWebRtc { .. } => {
            with_message(py, "HandshakeError", &message)
        }
        _ => with_message(py, "ConnectError", &message),
    }
}
