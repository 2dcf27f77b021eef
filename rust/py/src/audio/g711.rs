//! G.711.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stapes_core::audio::{Sample as _, g711};

use super::detached;
use super::output::{self, Output};
use super::samples::{self, Samples};

/// Encodes sound to G.711 mu-law (`audio/pcmu`), one byte per sample.
///
/// Args:
///     samples: Bytes-like 16-bit little-endian PCM, or an `(n,)` or `(n, 1)` array of int16 or
///         of float32 in -1.0..=1.0, at 8000 samples per second.
///
/// Raises:
///     TypeError: `samples` has another type.
///     ValueError: It has an odd number of bytes, another shape, NaN or infinity.
#[pyfunction]
pub fn mulaw_encode<'py>(samples: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    encode(samples, g711::mulaw_encode)
}

/// Decodes G.711 mu-law (`audio/pcmu`), one sample per byte.
///
/// Args:
///     data: Bytes-like. Every byte is a code.
///     output: "bytes" (16-bit little-endian PCM), "int16" or "float32" (numpy arrays).
///
/// Raises:
///     TypeError: `data` is not bytes-like.
///     ValueError: `output` is none of the above.
#[pyfunction]
#[pyo3(signature = (data, *, output = "bytes"))]
pub fn mulaw_decode<'py>(data: &Bound<'py, PyAny>, output: &str) -> PyResult<Bound<'py, PyAny>> {
    decode(data, output, g711::mulaw_decode)
}

/// Encodes sound to G.711 A-law (`audio/pcma`), one byte per sample.
///
/// Args:
///     samples: Bytes-like 16-bit little-endian PCM, or an `(n,)` or `(n, 1)` array of int16 or
///         of float32 in -1.0..=1.0, at 8000 samples per second.
///
/// Raises:
///     TypeError: `samples` has another type.
///     ValueError: It has an odd number of bytes, another shape, NaN or infinity.
#[pyfunction]
pub fn alaw_encode<'py>(samples: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    encode(samples, g711::alaw_encode)
}

/// Decodes G.711 A-law (`audio/pcma`), one sample per byte.
///
/// Args:
///     data: Bytes-like. Every byte is a code.
///     output: "bytes" (16-bit little-endian PCM), "int16" or "float32" (numpy arrays).
///
/// Raises:
///     TypeError: `data` is not bytes-like.
///     ValueError: `output` is none of the above.
#[pyfunction]
#[pyo3(signature = (data, *, output = "bytes"))]
pub fn alaw_decode<'py>(data: &Bound<'py, PyAny>, output: &str) -> PyResult<Bound<'py, PyAny>> {
    decode(data, output, g711::alaw_decode)
}

fn encode<'py>(
    samples: &Bound<'py, PyAny>,
    encode: fn(&[i16], &mut [u8]),
) -> PyResult<Bound<'py, PyBytes>> {
    let py = samples.py();
    let samples = Samples::mono(samples, "samples")?.into_int16();
    PyBytes::new_with(py, samples.len(), |out| {
        detached(py, samples.len(), || encode(&samples, out));
        Ok(())
    })
}

fn decode<'py>(
    data: &Bound<'py, PyAny>,
    output: &str,
    decode: fn(&[u8], &mut [i16]),
) -> PyResult<Bound<'py, PyAny>> {
    let py = data.py();
    let output = Output::parse(output)?;
    let data = samples::bytes(data, "data")?;
    let run = |out: &mut [i16]| detached(py, data.len(), || decode(&data, out));
    match output {
        Output::Bytes => output::pcm_bytes(py, data.len(), run),
        Output::Int16 => output::array::<i16>(py, data.len(), run),
        Output::Float32 => output::array::<f32>(py, data.len(), |out: &mut [f32]| {
            let mut decoded = vec![0; data.len()];
            run(&mut decoded);
            for (sample, place) in decoded.iter().zip(out) {
                *place = sample.to_unit();
            }
        }),
    }
}
