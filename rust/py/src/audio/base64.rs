//! Base64.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use stapes_core::audio::base64;

use super::{detached, kind, samples};

/// Encodes bytes to base64 (standard alphabet, padded), as audio is sent on the wire.
///
/// Args:
///     data: Bytes-like.
///
/// Returns:
///     ASCII `bytes`, as `base64.b64encode` does.
///
/// Raises:
///     TypeError: `data` is not bytes-like.
#[pyfunction]
pub fn base64_encode<'py>(data: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let py = data.py();
    let data = samples::bytes(data, "data")?;
    PyBytes::new_with(py, base64::encoded_len(data.len()), |out| {
        detached(py, data.len() / 8, || base64::encode_into(&data, out)).map_err(refusal)
    })
}

/// Decodes base64 (standard alphabet, padding optional).
///
/// Args:
///     text: `str` or bytes-like ASCII, without whitespace.
///
/// Raises:
///     TypeError: `text` has another type.
///     ValueError: `text` is not valid base64.
#[pyfunction]
pub fn base64_decode<'py>(text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    let py = text.py();
    if let Ok(text) = text.cast::<PyString>() {
        return decode(py, text.to_str()?.as_bytes());
    }
    match samples::bytes(text, "text") {
        Ok(bytes) => decode(py, &bytes),
        Err(_) => Err(PyTypeError::new_err(format!(
            "text must be str or a bytes-like object, not {}",
            kind(text)?
        ))),
    }
}

fn decode<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, base64::decoded_len(text), |out| {
        detached(py, text.len() / 8, || base64::decode_into(text, out)).map_err(refusal)
    })
}

fn refusal(error: base64::Base64Error) -> PyErr {
    PyValueError::new_err(format!("text: {error}"))
}
