//! Input from Python: samples and bytes.

use std::borrow::Cow;

use pyo3::buffer::{PyBuffer, PyUntypedBuffer};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stapes_core::audio::Sample as _;

use super::kind;

/// Samples, borrowed from `bytes`, which are immutable, or copied from other objects.
pub enum Samples<'a> {
    Int16(Cow<'a, [i16]>),
    Float32(Cow<'a, [f32]>),
}

impl<'a> Samples<'a> {
    /// Mono samples: bytes-like PCM16, or an int16 or float32 buffer of shape `(n,)` or `(n, 1)`.
    pub fn mono(value: &'a Bound<'_, PyAny>, argument: &str) -> PyResult<Self> {
        Self::extract(value, argument, 1)
    }

    /// Samples of `channels` interleaved channels; a buffer may have the shape `(n, channels)`.
    pub fn extract(value: &'a Bound<'_, PyAny>, argument: &str, channels: usize) -> PyResult<Self> {
        let samples = match value.cast::<PyBytes>() {
            Ok(bytes) => Self::Int16(pcm16(bytes.as_bytes(), argument)?),
            Err(_) => Self::from_buffer(value, argument, channels)?,
        };
        if !samples.len().is_multiple_of(channels) {
            return Err(PyValueError::new_err(format!(
                "{argument} has {} samples: not whole frames of {channels} channels",
                samples.len()
            )));
        }
        if let Self::Float32(floats) = &samples
            && !all_finite(floats)
        {
            return Err(PyValueError::new_err(format!(
                "{argument} contains NaN or infinity"
            )));
        }
        Ok(samples)
    }

    /// The number of samples, over all channels.
    pub fn len(&self) -> usize {
        match self {
            Self::Int16(samples) => samples.len(),
            Self::Float32(samples) => samples.len(),
        }
    }

    /// As 16-bit samples: rounded to nearest, saturating.
    pub fn into_int16(self) -> Cow<'a, [i16]> {
        match self {
            Self::Int16(samples) => samples,
            Self::Float32(samples) => samples.iter().map(|unit| i16::from_unit(*unit)).collect(),
        }
    }

    fn from_buffer(value: &Bound<'_, PyAny>, argument: &str, channels: usize) -> PyResult<Self> {
        let py = value.py();
        let buffer = PyUntypedBuffer::get(value)
            .map_err(|_| wrong_type(argument, &kind(value).unwrap_or_default()))?;
        let shape = buffer.shape();
        if !(shape.len() == 1 || shape.len() == 2 && shape[1] == channels) {
            return Err(PyValueError::new_err(format!(
                "{argument} has shape {shape:?}: expected (n,) or (n, {channels})"
            )));
        }
        let samples = if let Some(buffer) = typed::<i16>(&buffer, argument)? {
            Self::Int16(Cow::Owned(buffer.to_vec(py)?))
        } else if let Some(buffer) = typed::<f32>(&buffer, argument)? {
            Self::Float32(Cow::Owned(buffer.to_vec(py)?))
        } else if let Some(buffer) = typed::<u8>(&buffer, argument)? {
            Self::Int16(Cow::Owned(
                pcm16(&buffer.to_vec(py)?, argument)?.into_owned(),
            ))
        } else {
            let format = buffer.format().to_string_lossy();
            return Err(wrong_type(
                argument,
                &format!("a buffer of format {format:?}"),
            ));
        };
        Ok(samples)
    }
}

/// Bytes from Python: borrowed from `bytes`, copied from other bytes-like objects.
pub fn bytes<'a>(value: &'a Bound<'_, PyAny>, argument: &str) -> PyResult<Cow<'a, [u8]>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(Cow::Borrowed(bytes.as_bytes()));
    }
    match PyBuffer::<u8>::get(value) {
        Ok(buffer) => Ok(Cow::Owned(buffer.to_vec(value.py())?)),
        Err(_) => Err(PyTypeError::new_err(format!(
            "{argument} must be a bytes-like object, not {}",
            kind(value)?
        ))),
    }
}

/// The buffer as one of `T`, or `None` if its elements have another type.
fn typed<'b, T: pyo3::buffer::Element>(
    buffer: &'b PyUntypedBuffer,
    argument: &str,
) -> PyResult<Option<&'b PyBuffer<T>>> {
    // PyO3 0.30 takes `>` for the byte order of a little-endian machine.
    let swapped = matches!(buffer.format().to_bytes().first(), Some(b'>' | b'!'));
    if swapped || buffer.item_size() != size_of::<T>() || !T::is_compatible_format(buffer.format())
    {
        return Ok(None);
    }
    // Only the alignment can be wrong now.
    buffer.as_typed::<T>().map(Some).map_err(|_| {
        PyValueError::new_err(format!("{argument} is not aligned in memory: pass a copy"))
    })
}

/// Little-endian 16-bit PCM as samples, without a copy if the bytes are aligned.
fn pcm16<'a>(bytes: &'a [u8], argument: &str) -> PyResult<Cow<'a, [i16]>> {
    if !bytes.len().is_multiple_of(2) {
        return Err(PyValueError::new_err(format!(
            "{argument} has {} bytes: 16-bit PCM has an even number",
            bytes.len()
        )));
    }
    if cfg!(target_endian = "little")
        && let Ok(samples) = bytemuck::try_cast_slice(bytes)
    {
        return Ok(Cow::Borrowed(samples));
    }
    Ok(bytes
        .as_chunks()
        .0
        .iter()
        .map(|pair| i16::from_le_bytes(*pair))
        .collect())
}

fn all_finite(samples: &[f32]) -> bool {
    // No early return, so that the compiler can vectorize the loop.
    samples
        .iter()
        .fold(true, |finite, sample| finite & sample.is_finite())
}

fn wrong_type(argument: &str, got: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "{argument} must be bytes-like 16-bit PCM, or an array of int16 or float32 of one dimension, not {got}"
    ))
}
