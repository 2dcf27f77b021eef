//! Sound as Python gets it back: written once, into the object that is returned.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes};
use stapes_core::audio::Sample;

/// What a function gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// `bytes`: little-endian 16-bit PCM.
    Bytes,
    /// `numpy.ndarray` of int16.
    Int16,
    /// `numpy.ndarray` of float32 in -1.0..=1.0.
    Float32,
}

impl Output {
    pub fn parse(output: &str) -> PyResult<Self> {
        match output {
            "bytes" => Ok(Self::Bytes),
            "int16" => Ok(Self::Int16),
            "float32" => Ok(Self::Float32),
            other => Err(PyValueError::new_err(format!(
                "output is {other:?}: expected \"bytes\", \"int16\" or \"float32\""
            ))),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Int16 => "int16",
            Self::Float32 => "float32",
        }
    }
}

/// `bytes` of so many 16-bit samples, which `fill` writes in place.
pub fn pcm_bytes(
    py: Python<'_>,
    samples: usize,
    fill: impl FnOnce(&mut [i16]),
) -> PyResult<Bound<'_, PyAny>> {
    let bytes = PyBytes::new_with(py, samples * size_of::<i16>(), |bytes| {
        if cfg!(target_endian = "little")
            && let Ok(samples) = bytemuck::try_cast_slice_mut(bytes)
        {
            fill(samples);
        } else {
            let mut aside = vec![0; samples];
            fill(&mut aside);
            for (sample, pair) in aside.iter().zip(bytes.chunks_exact_mut(2)) {
                pair.copy_from_slice(&sample.to_le_bytes());
            }
        }
        Ok(())
    })?;
    Ok(bytes.into_any())
}

/// A writable one-dimensional numpy array of so many samples, which `fill` writes in place.
pub fn array<'py, S: Sample + bytemuck::Pod>(
    py: Python<'py>,
    samples: usize,
    dtype: &str,
    fill: impl FnOnce(&mut [S]),
) -> PyResult<Bound<'py, PyAny>> {
    static FROMBUFFER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let memory = PyByteArray::new_with(py, samples * size_of::<S>(), |bytes| {
        if let Ok(samples) = bytemuck::try_cast_slice_mut(bytes) {
            fill(samples);
        } else {
            let mut aside = vec![S::default(); samples];
            fill(&mut aside);
            bytes.copy_from_slice(bytemuck::cast_slice(&aside));
        }
        Ok(())
    })?;
    if samples == 0 {
        // `frombuffer` refuses an empty buffer.
        return py.import("numpy")?.call_method1("empty", (0, dtype));
    }
    FROMBUFFER
        .import(py, "numpy", "frombuffer")?
        .call1((memory, dtype))
}
