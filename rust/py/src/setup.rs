//! The configuration that a server gets first, out of Python's arguments.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stapes_core::session::SessionSetup;

pub fn session_setup(
    session_update: String,
    tracing: &str,
    agent_version: u64,
) -> PyResult<SessionSetup> {
    let tracing = serde_json::from_str(tracing)
        .map_err(|error| PyValueError::new_err(format!("tracing is not JSON: {error}")))?;
    Ok(SessionSetup {
        session_update,
        tracing,
        agent_version,
    })
}
